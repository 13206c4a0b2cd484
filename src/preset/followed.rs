//! What stands for a preset where no provider is asked: a token that follows another tokend's. It
//! has no parameters, and of a preset only the scheme of a header.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::preset::language::{MethodText, UnitText};
use crate::preset::program::{AnswerPlan, Body, ErrorPlan, Program, RefreshPlan, RequestPlan};
use crate::preset::template::{Templates, Text};
use crate::preset::{ContextRules, Preset};

static PRESET: OnceLock<Arc<Preset>> = OnceLock::new();

impl Preset {
    /// What stands for a preset where no provider is asked: it has nothing to send and nothing to read.
    #[must_use]
    pub fn of_followers() -> Arc<Self> {
        Arc::clone(PRESET.get_or_init(|| Arc::new(make())))
    }
}

fn make() -> Preset {
    let program = Program {
        templates: Templates::new(),
        identity: Vec::new(),
        required_when: BTreeMap::new(),
        request: RequestPlan {
            method: MethodText::default(),
            url: None,
            issuer: None,
            headers: Vec::new(),
            query: Vec::new(),
            body: Body::None,
            client_auth: None,
            basic_encoding: Text::Fixed(String::new()),
        },
        answer: AnswerPlan {
            access_token: String::new(),
            token_type: String::new(),
            scope: String::new(),
            expires_in: String::new(),
            expires_in_unit: UnitText::default(),
            expires_at: None,
            export: BTreeMap::new(),
            export_parameters: Vec::new(),
            success: Vec::new(),
        },
        rules: Vec::new(),
        error: ErrorPlan { code: Vec::new(), description: Vec::new() },
        refresh: RefreshPlan::default(),
    };
    Preset {
        name: "follow".into(),
        description: "The access token that another tokend wrote".into(),
        source: String::new(),
        parameters: BTreeMap::new(),
        context: ContextRules::default(),
        scheme: "Bearer".into(),
        program: Arc::new(program),
        table: Arc::default(),
    }
}
