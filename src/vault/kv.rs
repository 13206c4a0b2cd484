//! Secrets of a KV engine, with versions and without.

use reqwest::StatusCode;
use serde_json::{Map, Value};
use vaultrs::api::kv1;
use vaultrs::api::kv2::requests::{ReadSecretRequest, SetSecretRequest, SetSecretRequestOptions};

use crate::settings::{KvVersion, VaultPlace};
use crate::time::Timestamp;
use crate::vault::answers::{Made, Metadata, Versioned};
use crate::vault::{Trouble, Vault};

/// What a place in a KV engine holds.
#[derive(Default)]
pub struct Found {
    /// The version to name when it is written; `None` where the engine has no versions.
    pub version: Option<u32>,
    /// The fields; `None` where there are none, or they were deleted.
    pub fields: Option<Map<String, Value>>,
    /// When they were written, where the engine says so.
    pub written_at: Option<Timestamp>,
}

impl Vault {
    /// What `place` holds.
    pub async fn read(&self, place: &VaultPlace) -> Result<Found, Trouble> {
        match self.kv {
            KvVersion::V1 => self.read_plain(place).await,
            KvVersion::V2 => self.read_versioned(place).await,
        }
    }

    async fn read_plain(&self, place: &VaultPlace) -> Result<Found, Trouble> {
        let request = kv1::requests::GetSecretRequest { mount: place.mount.clone(), path: place.path.clone() };
        match self.ask(&self.middle, request).await {
            Ok(answer) => Ok(Found { fields: Some(self.made(&answer)?), ..Found::default() }),
            Err(Trouble::Absent(_)) => Ok(Found::default()),
            Err(trouble) => Err(trouble),
        }
    }

    /// vaultrs' own `read` drops the version that check-and-set needs.
    async fn read_versioned(&self, place: &VaultPlace) -> Result<Found, Trouble> {
        let request = ReadSecretRequest { mount: place.mount.clone(), path: place.path.clone(), version: None };
        match self.data(&self.middle, request).await {
            Ok(Versioned { data, metadata: Metadata { version, created_time } }) => {
                let written_at = Timestamp::parse_rfc3339(&created_time).filter(|_| data.is_some());
                Ok(Found { version: Some(version), fields: data, written_at })
            }
            // Deleted, but for its version, or never there.
            Err(Trouble::Absent(version)) => Ok(Found { version: Some(version.unwrap_or(0)), ..Found::default() }),
            Err(trouble) => Err(trouble),
        }
    }

    /// Writes `fields` to `place`, if it still has `version`; gives the version that it has then, where
    /// the engine has versions.
    pub async fn write(
        &self,
        place: &VaultPlace,
        fields: &Map<String, Value>,
        version: Option<u32>,
    ) -> Result<Option<u32>, Trouble> {
        let (mount, path) = (place.mount.clone(), place.path.clone());
        match self.kv {
            KvVersion::V1 => {
                let data = serde_json::to_vec(fields).map_err(|error| Trouble::Failed(error.to_string()))?;
                let absent =
                    format!("nothing keeps secrets of KV version 1 at {mount}/: is it version 2, or elsewhere?");
                let put = self.ask(&self.middle, kv1::requests::SetSecretRequest { mount, path, data }).await;
                match put {
                    Err(Trouble::Absent(_)) => Err(Trouble::Refused(absent)),
                    other => other.map(|_| None),
                }
            }
            KvVersion::V2 => {
                let options = Some(SetSecretRequestOptions { cas: version.unwrap_or(0) });
                let data = Value::Object(fields.clone());
                let put = self.ask(&self.middle, SetSecretRequest { mount, path, data, options }).await?;
                if put.response.status() == StatusCode::NO_CONTENT {
                    return Err(self.take_back_from_version_1(place).await);
                }
                let Made { version } = self.made(&put)?;
                Ok(Some(version))
            }
        }
    }

    /// An engine without versions keeps what is sent to `data/PATH` as a secret of that name.
    async fn take_back_from_version_1(&self, place: &VaultPlace) -> Trouble {
        let (mount, path) = (place.mount.clone(), format!("data/{}", place.path));
        let why = format!("what is mounted at {mount}/ has no versions: write kv = 1 in the table of the server");
        match self.ask(&self.middle, kv1::requests::DeleteSecretRequest { mount, path }).await {
            Ok(_) => Trouble::Refused(why),
            Err(trouble) => Trouble::Refused(format!("{why}, and delete data/{} there ({trouble})", place.path)),
        }
    }
}
