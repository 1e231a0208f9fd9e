//! The files that keys name: secrets and certificates. Each is read while the configuration is
//! checked, and its key gets the path that was found.

use std::path::{Path, PathBuf};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::{
    Credential, Secret,
    files::{self, Places, SecretFiles},
    finding::KeyPath,
    notes::Notes,
    service,
};

/// Checks a secret in the configuration, or reads the file of its own; no message contains it.
pub fn secret(
    notes: &mut Notes,
    places: &Places,
    at: &KeyPath,
    name: &str,
    inline: &mut Option<Credential>,
    file: &mut Option<PathBuf>,
) {
    let key = at.key(name);
    let file_key = at.key(&format!("{name}_file"));
    *inline = match (inline.take(), file.take()) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            notes.find(
                &key,
                format!("set twice, here and in {name}_file; remove one"),
            );
            None
        }
        (Some(credential), None) => Secret::checked(credential.loaded().clone())
            .map_err(|problem| notes.find(&key, problem))
            .ok()
            .map(|secret| Credential::from(secret).standing_in(notes.file(&key))),
        (None, Some(path)) if places.secrets == SecretFiles::NotRead => {
            Some(Credential::unread(places.find(&path)))
        }
        (None, Some(path)) => {
            let found = places.find(&path);
            Credential::of_file(&found)
                .map_err(|unreadable| {
                    let problem = service::not_given(places, &file_key, &path);
                    let problem = problem.unwrap_or_else(|| {
                        format!("{unreadable}{}", places.nor_among_credentials(&path))
                    });
                    notes.find(&file_key, problem);
                })
                .ok()
        }
    };
}

/// Names the file of a secret in place of its mask: a path is no secret.
pub fn shown(inline: &mut Option<Credential>, file: &mut Option<PathBuf>) {
    if let Some(path) = inline.as_ref().and_then(Credential::file) {
        *file = Some(path.to_owned());
        *inline = None;
    }
}

/// Finds a PEM file with at least one certificate.
pub fn certificates(notes: &mut Notes, places: &Places, at: &KeyPath, path: &mut Option<PathBuf>) {
    let name = path.as_ref().and_then(|path| path.file_name());
    let name = name.unwrap_or_default().to_string_lossy().into_owned();
    pem(notes, places, at, path, |content| {
        if is_der(content) {
            return Err(format!(
                "is in DER form, and not PEM: `openssl x509 -inform der -in {name} -out {}` \
                 converts it",
                Path::new(&name).with_extension("pem").display()
            ));
        }
        let mut certificates = CertificateDer::pem_slice_iter(content);
        let first = certificates
            .next()
            .ok_or_else(|| "contains no PEM certificate".to_owned())?;
        first
            .and_then(|_| certificates.try_for_each(|certificate| certificate.map(|_| ())))
            .map_err(|error| format!("is not a PEM file of certificates: {error}"))
    })
}

/// Whether it begins as a certificate does in DER: a sequence of more than 255 bytes (X.690 section
/// 8.1.3.5). Windows exports certificates in this form.
fn is_der(content: &[u8]) -> bool {
    content.starts_with(&[0x30, 0x82])
}

/// Finds a PEM file with a private key.
pub fn private_key(notes: &mut Notes, places: &Places, at: &KeyPath, path: &mut Option<PathBuf>) {
    if places.secrets == SecretFiles::NotRead {
        *path = path.take().map(|path| places.find(&path));
        return;
    }
    // The reason is omitted: it could quote the file's content.
    pem(notes, places, at, path, |content| {
        PrivateKeyDer::from_pem_slice(content)
            .map(|_| ())
            .map_err(|_| "contains no PEM private key (it must have no passphrase)".to_owned())
    })
}

fn pem(
    notes: &mut Notes,
    places: &Places,
    at: &KeyPath,
    path: &mut Option<PathBuf>,
    holds: impl FnOnce(&[u8]) -> Result<(), String>,
) {
    let Some(path) = path else { return };
    let written = path.clone();
    *path = places.find(path);
    let result = files::read(path, files::CERTIFICATES_LIMIT).and_then(|content| holds(&content));
    if let Err(problem) = result {
        let not_given = service::not_given(places, at, &written);
        let problem = not_given.unwrap_or_else(|| {
            let elsewhere = places.nor_among_credentials(&written);
            format!("{} {problem}{elsewhere}", path.display())
        });
        notes.find(at, problem);
    }
}
