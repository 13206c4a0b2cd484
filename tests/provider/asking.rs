//! A slot made of a few lines, and one question to its provider.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokend::access_token::Issued;
use tokend::failure::Failure;
use tokend::http::Http;
use tokend::job::Ask;
use tokend::name::{Identity, Name, SlotId};
use tokend::preset::{ParameterKind, Preset, Secrets};
use tokend::provider::{Chosen, Providers};
use tokend::secret::Secret;
use tokend::settings::{Endpoint, Persist, Provider, Proxy, TlsFiles};
use tokend::slot::{Policy, Slot};
use tokend::time::Timestamp;

/// The moment at which every test asks: 2026-11-21T07:00:00Z.
pub const NOW: Timestamp = Timestamp::from_secs(1_795_244_400);

/// A slot, and the secrets that its provider takes.
pub struct Asked {
    pub slot: Slot,
    pub secrets: Chosen,
}

impl Asked {
    /// What the provider table `text` describes, together with `scopes` and `context`, asked at `endpoint`.
    pub fn of(preset: Arc<Preset>, text: &str, endpoint: Endpoint) -> Self {
        let mut table: toml::Table = text.parse().unwrap();
        let scopes = table.remove("scopes").map(|scopes| scopes.try_into().unwrap()).unwrap_or_default();
        let context = table.remove("context").map(|context| context.try_into().unwrap());
        let (mut parameters, mut secrets) = (BTreeMap::new(), Secrets::new());
        for (name, parameter) in &preset.parameters {
            let given = table.remove(name).map(|value| serde_json::to_value(value).unwrap());
            let value = match given.or_else(|| parameter.default.clone()) {
                Some(one @ serde_json::Value::String(_)) if parameter.kind == ParameterKind::List => {
                    serde_json::Value::Array(vec![one])
                }
                Some(value) => value,
                None => continue,
            };
            if parameter.secret {
                secrets.insert(name.clone(), Secret::new(value.as_str().unwrap().into()));
            } else {
                parameters.insert(name.clone(), value);
            }
        }
        if let Some(ttl) = table.remove("ttl") {
            parameters.insert("ttl".into(), serde_json::to_value(ttl).unwrap());
        }
        assert!(table.is_empty(), "left over: {table}");
        let exclusive = preset.is_exclusive(&parameters);
        let provider = Provider {
            name: Name::parse("idp").unwrap(),
            preset,
            parameters,
            secrets: BTreeMap::new(),
            endpoint,
            timeout: Duration::from_secs(10),
            tls: TlsFiles::default(),
            proxy: Proxy::None,
            rate: None,
            budget: None,
            persist: Persist::Encrypted,
        };
        let policy = Policy {
            exclusive,
            lead: None,
            max_lead: None,
            budget: None,
            persist: Persist::Encrypted,
            expected_lifetime: Duration::from_hours(1),
        };
        let slot = Slot {
            id: SlotId::new(&provider.name, "token"),
            identity: Identity::new(&["idp", "token"]),
            provider: Arc::new(provider),
            context,
            scopes,
            tokens: Vec::new(),
            policy,
            schedule: None,
        };
        Self { slot, secrets: Chosen { secrets, others: Vec::new() } }
    }

    /// Changes the provider.
    pub fn with(mut self, change: impl FnOnce(&mut Provider)) -> Self {
        change(Arc::get_mut(&mut self.slot.provider).unwrap());
        self
    }

    /// Asks once, with nothing known before.
    pub async fn ask(&self) -> Result<Issued, Failure> {
        self.ask_through(&Providers::new(Http::new())).await
    }

    /// Asks once.
    pub async fn ask_through(&self, providers: &Providers) -> Result<Issued, Failure> {
        let ask = Ask { scopes: self.slot.scopes.clone(), secret_choice: 0, refused: 0, forced: false };
        let (asked_at, answer) = providers.ask(&self.slot, &ask, &self.secrets, &|| NOW).await;
        assert_eq!(asked_at, NOW);
        answer
    }
}
