// Runs the vendor's JavaScript client against the server at FTRACK_SERVER; any difference from what ftrack does is an error.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

// The client is installed in a folder of its own, which the test names.
const require = createRequire(`${process.env.FTRACK_CLIENT}/`);
const { Session, operation } = require("@ftrack/api");
// The client warns about every refusal, also about those that are wanted here.
require("loglevel").getLogger("ftrack_api").setLevel("silent");

const server = process.env.FTRACK_SERVER;

function connect(options = {}, key = "demo-key") {
  return new Session(server, "ldap-sync", key, { autoConnectEventHub: false, ...options });
}

async function refused(promise, pattern, name) {
  await assert.rejects(promise, (error) => {
    assert.match(String(error.message), pattern);
    assert.equal(error.name, name);
    return true;
  });
}

async function opening() {
  const session = connect();
  await session.initializing;
  assert.match(session.serverVersion, /^\d+\.\d+\.\d+\.\d+$/);
  assert.ok(session.schemas.some((schema) => schema.id === "User"));
  await refused(connect({}, "wrong").initializing, /API key is not valid/, "ServerError");
  await refused(connect({ strictApi: true }, "wrong").initializing, /API key is not valid/, "ServerError");
  return session;
}

async function queries(session) {
  const page = await session.query("select id, username from User order by id offset 0 limit 500");
  assert.equal(page.data.length, 500);
  assert.equal(page.metadata.next.offset, 500);
  const last = await session.query("select id, username from User order by id limit 500 offset 1000");
  assert.equal(last.data.length, 202);
  assert.equal(last.metadata.next.offset, null);
  const query = "select user.username, group.name from Membership where group.name is Lighting order by id limit 2";
  for (const options of [{}, { ensureSerializableResponse: true }]) {
    const { data } = await session.query(query, options);
    assert.deepEqual(data.map((membership) => membership.group.name), ["Lighting", "Lighting"]);
    assert.equal(data[0].group === data[1].group, options.ensureSerializableResponse !== true);
    assert.equal(data[0].user.resource_type, options.ensureSerializableResponse ? undefined : "user");
  }
  const found = await session.search({ expression: "select id, username from User", entityType: "User", terms: ["0007"] });
  assert.deepEqual(found.data.map((user) => user.username), ["artist0007"]);
  await refused(session.query("select nothing from User"), /no attribute "nothing"/, "ServerValidationError");
}

async function writes(session) {
  const { data: carl } = await session.create("User", { username: "carla", is_active: true });
  assert.equal(carl.first_name, "first");
  const { data: renamed } = await session.update("User", [carl.id], { username: "carlotta" });
  assert.equal(renamed.username, "carlotta");
  await session.update("User", carl.id, { is_active: false });
  const ensured = await session.ensure("User", { username: "carlotta", email: "carlotta@studio.test" }, ["username"]);
  assert.equal(ensured.id, carl.id);
  const key = { parent_id: carl.id, parent_type: "User", key: "directory" };
  await session.create("Metadata", { ...key, value: "abc" });
  await session.update("Metadata", [carl.id, "directory"], { value: "def" });
  const { data } = await session.query(`select is_active, email, metadata.key, metadata.value from User where id is "${carl.id}"`);
  assert.equal(data[0].is_active, false);
  assert.equal(data[0].email, "carlotta@studio.test");
  assert.deepEqual(data[0].metadata.map((row) => [row.key, row.value]), [["directory", "def"]]);
  return carl.id;
}

async function batches(session, id) {
  const [users, groups] = await session.call([
    operation.query(`select username from User where id is "${id}"`),
    operation.query("select name from Group where name is Lighting"),
  ]);
  assert.equal(users.data[0].username, "carlotta");
  const group = groups.data[0].id;
  const [, membership] = await session.call([
    operation.create("User", { id: "00000000-0000-4000-8000-000000000001", username: "dina" }),
    operation.create("Membership", { user_id: "00000000-0000-4000-8000-000000000001", group_id: group }),
  ]);
  await session.delete("Membership", [membership.data.id]);
  await refused(session.call([operation.create("User", { username: "erik" }), operation.create("User", { username: "dina" })]), /Duplicate entry/, "ServerError");
  assert.equal((await session.query("User where username is erik")).data.length, 0);
  await refused(session.update("User", [id], { username: "x".repeat(256) }), /longer than 255/, "ServerValidationError");
  assert.equal((await session.delete("User", id)).data, true);
}

const session = await opening();
await queries(session);
const id = await writes(session);
await batches(session, id);
console.log("the JavaScript client is satisfied");
process.exit(0);
