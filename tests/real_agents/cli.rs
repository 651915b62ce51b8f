//! The CLIs: packages, pinned versions, and how each is pointed at a provider on loopback.

use crate::mock_provider::FAKE_KEY;

/// Where a package comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registry {
    /// `npm install`.
    Npm,
    /// `pip install` into an environment of its own.
    PyPi,
}

/// One CLI of one version.
#[derive(Debug, Clone, Copy)]
pub struct Cli {
    /// The preset's name, and the program's.
    pub name: &'static str,
    /// The package.
    pub package: &'static str,
    /// The version the preset was proven on.
    pub version: &'static str,
    /// Where it comes from.
    pub registry: Registry,
    /// Environment; `{url}` and `{key}` are filled in.
    env: &'static [(&'static str, &'static str)],
    /// Files of its home; filled in as the environment is.
    files: &'static [(&'static str, &'static str)],
    /// Arguments that the preset leaves to the operator: the model.
    pub replaced: &'static [(&'static str, &'static str)],
    /// A line of the page that this version needs after `init`.
    pub first: Option<&'static str>,
    /// Seconds after which it has given up on a provider that fails again and again.
    pub patience_s: u64,
    /// The arguments that continue the newest session of a work tree with a prompt.
    pub resume: Option<&'static [&'static str]>,
}

/// All of them, those first that a gate has to run.
pub const CLIS: &[Cli] = &[
    Cli {
        name: "claude",
        package: "@anthropic-ai/claude-code",
        version: "2.1.330",
        registry: Registry::Npm,
        env: &[
            ("ANTHROPIC_BASE_URL", "{url}"),
            // As a subscription's login: only such a one is told the account's own limit.
            ("CLAUDE_CODE_OAUTH_TOKEN", "{key}"),
            ("CLAUDE_CODE_MAX_RETRIES", "1"),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("DISABLE_TELEMETRY", "1"),
        ],
        files: &[],
        replaced: &[],
        first: None,
        patience_s: 60,
        resume: Some(&["-p", "--continue", "--dangerously-skip-permissions", "Go on."]),
    },
    Cli {
        name: "codex",
        package: "@openai/codex",
        version: "0.169.0",
        registry: Registry::Npm,
        env: &[("MOCK_API_KEY", "{key}"), ("CODEX_API_KEY", "{key}")],
        files: &[(
            ".codex/config.toml",
            "model = \"gpt-5.5\"\nmodel_provider = \"mock\"\ncheck_for_update_on_startup = false\n\
             [analytics]\nenabled = false\n\
             [model_providers.mock]\nname = \"mock\"\nbase_url = \"{url}/v1\"\nenv_key = \"MOCK_API_KEY\"\n\
             wire_api = \"responses\"\nrequest_max_retries = 1\nstream_max_retries = 1\n",
        )],
        replaced: &[],
        first: None,
        patience_s: 60,
        resume: Some(&[
            "exec",
            "--json",
            "--dangerously-bypass-approvals-and-sandbox",
            "resume",
            "--last",
            "Go on.",
        ]),
    },
    Cli {
        name: "gemini",
        package: "@google/gemini-cli",
        version: "0.61.0",
        registry: Registry::Npm,
        env: &[
            ("GEMINI_API_KEY", "{key}"),
            ("GOOGLE_GEMINI_BASE_URL", "{url}"),
            ("GEMINI_TELEMETRY_ENABLED", "false"),
        ],
        files: &[(
            ".gemini/settings.json",
            "{\"model\":{\"name\":\"gemini-2.5-flash\"},\"security\":{\"auth\":{\"selectedType\":\"gemini-api-key\"}},\"telemetry\":{\"enabled\":false},\
             \"privacy\":{\"usageStatisticsEnabled\":false},\
             \"general\":{\"enableAutoUpdate\":false,\"disableAutoUpdate\":true,\"maxAttempts\":2}}",
        )],
        replaced: &[],
        first: None,
        patience_s: 60,
        resume: Some(&["--yolo", "--skip-trust", "--resume", "latest", "-p", "Go on."]),
    },
    Cli {
        name: "opencode",
        package: "opencode-ai",
        version: "1.18.33",
        registry: Registry::Npm,
        env: &[
            ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
            ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1"),
            ("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1"),
        ],
        files: &[(
            ".config/opencode/opencode.json",
            "{\"autoupdate\":false,\"share\":\"disabled\",\"model\":\"mock/mock-1\",\"small_model\":\"mock/mock-1\",\
             \"provider\":{\"mock\":{\"npm\":\"@ai-sdk/openai-compatible\",\"name\":\"mock\",\
             \"options\":{\"baseURL\":\"{url}/v1\",\"apiKey\":\"{key}\"},\"models\":{\"mock-1\":{\"name\":\"mock-1\",\
             \"limit\":{\"context\":200000,\"output\":8000}}}}}}",
        )],
        replaced: &[],
        first: None,
        patience_s: 170,
        resume: Some(&["run", "--continue", "Go on."]),
    },
    Cli {
        name: "pi",
        package: "@mariozechner/pi-coding-agent",
        version: "0.73.1",
        registry: Registry::Npm,
        env: &[("PI_TELEMETRY", "0")],
        files: &[(
            ".pi/agent/models.json",
            "{\"providers\":{\"mock\":{\"baseUrl\":\"{url}/v1\",\"api\":\"openai-completions\",\"apiKey\":\"{key}\",\
             \"models\":[{\"id\":\"mock-1\",\"name\":\"mock-1\",\"reasoning\":false,\"input\":[\"text\"],\
             \"cost\":{\"input\":0,\"output\":0,\"cacheRead\":0,\"cacheWrite\":0},\"contextWindow\":200000,\
             \"maxTokens\":8000}]}}}",
        )],
        // The newest version that runs on Node 20; trust in project files came later, and with it `-na`; so did `--session-id`.
        replaced: &[("\"-na\", ", ""), ("PROVIDER/MODEL", "mock/mock-1")],
        first: Some(
            "mkdir -p ~/.config/agent-runner/presets && agent-runner presets show pi | grep -v ^resume_flag \
             >~/.config/agent-runner/presets/pi.toml",
        ),
        patience_s: 60,
        resume: Some(&["-p", "--model", "mock/mock-1", "--continue", "Go on."]),
    },
];

impl Cli {
    /// The CLI of a name.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> anyhow::Result<&'static Cli> {
        let found = CLIS.iter().find(|cli| cli.name == name);
        found.ok_or_else(|| anyhow::anyhow!("no CLI is called `{name}`"))
    }

    /// `NAME-VERSION`, the name of its folders.
    #[must_use]
    pub fn folder(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }

    /// The folder of its program inside the folder it is installed into.
    #[must_use]
    pub fn programs(&self) -> &'static str {
        match self.registry {
            Registry::Npm => "node_modules/.bin",
            Registry::PyPi => "venv/bin",
        }
    }

    /// Its environment when the provider is at `url`.
    pub fn env(&self, url: &str) -> Vec<(&'static str, String)> {
        self.env.iter().map(|(name, value)| (*name, filled(value, url))).collect()
    }

    /// The files of its home when the provider is at `url`.
    pub fn files(&self, url: &str) -> Vec<(&'static str, String)> {
        self.files.iter().map(|(path, text)| (*path, filled(text, url))).collect()
    }
}

fn filled(text: &str, url: &str) -> String {
    text.replace("{url}", url).replace("{key}", FAKE_KEY)
}
