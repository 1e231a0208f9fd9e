# The SBOM (CycloneDX 1.5): of `cargo metadata`, the crates that `cargo tree`, given as $tree, says are built into the
# program or run while it is built, and none that only tests, other systems or other features need; with the hashes of
# Cargo.lock, given as $lock. It holds no time, no random number and no folder, so that it is the same each time.

def purl: "pkg:cargo/\(.name)@\(.version)";

# Old manifests write MIT/Apache-2.0.
def licenses: if .license then {licenses: [{expression: (.license | gsub(" */ *"; " OR "))}]} else {} end;

# Lines such as `bytes v1.12.0 (*)`.
([$tree | scan("(?m)^(\\S+) v(\\S+)") | {key: "pkg:cargo/\(.[0])@\(.[1])", value: true}] | from_entries) as $built
# Paragraphs of lines such as `name = "bytes"`.
| ([
    $lock | split("[[package]]\n")[1:][]
    | [scan("(?m)^(name|version|checksum) = \"(.*?)\"$") | {key: .[0], value: .[1]}] | from_entries
    | select(.checksum) | {key: purl, value: [{alg: "SHA-256", content: .checksum}]}
  ] | from_entries) as $hashes
| .resolve.root as $root
| ([.packages[] | select($built[purl]) | {key: .id, value: .}] | from_entries) as $packages
| {
    bomFormat: "CycloneDX", specVersion: "1.5", version: 1,
    metadata: {component: ($packages[$root] |
        {type: "application", "bom-ref": purl, name, version, description, purl: purl} + licenses)},
    components: [$packages[] | select(.id != $root) |
        {type: "library", "bom-ref": purl, name, version, purl: purl, hashes: $hashes[purl]} + licenses
        + if .repository then {externalReferences: [{type: "vcs", url: .repository}]} else {} end
        | with_entries(select(.value != null))],
    dependencies: [.resolve.nodes[] | select($packages[.id]) | {
        ref: $packages[.id] | purl,
        dependsOn: [.deps[] | select(any(.dep_kinds[]; .kind != "dev")) | $packages[.pkg] | select(.) | purl] | unique
    }]
  }
