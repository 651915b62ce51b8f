//! The CLIs: npm packages, pinned versions, and how each is pointed at a provider on loopback.

use super::case::Case;
use crate::mock_provider::FAKE_KEY;

/// Where programs are inside the folder a package is installed into.
pub const PROGRAMS: &str = "node_modules/.bin";

/// One CLI of one version.
#[derive(Debug, Clone, Copy)]
pub struct Cli {
    /// The preset's name, and the program's.
    pub name: &'static str,
    /// The package.
    pub package: &'static str,
    /// What is installed beside it: the runtime of its own, where the system's is too old.
    pub beside: &'static [&'static str],
    /// The version the preset was proven on.
    pub version: &'static str,
    /// Environment; `{url}` and `{key}` are filled in.
    env: &'static [(&'static str, &'static str)],
    /// Variables that shorten how long it tries again; filled in likewise.
    retries: &'static [(&'static str, &'static str)],
    /// Files of its home; filled in as the environment is.
    files: &'static [(&'static str, &'static str)],
    /// What in those files is its login, and what stands there without one.
    login: &'static [(&'static str, &'static str)],
    /// Whether it has its login.
    is_logged_in: bool,
    /// Arguments that the preset leaves to the operator: the model.
    pub replaced: &'static [(&'static str, &'static str)],
    /// Seconds it may take on a busy machine until it first asks the provider.
    pub start_s: u64,
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
        beside: &[],
        version: "2.1.330",
        env: &[
            ("ANTHROPIC_BASE_URL", "{url}"),
            // As a subscription's login: only such a one is told the account's own limit.
            ("CLAUDE_CODE_OAUTH_TOKEN", "{key}"),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ("DISABLE_TELEMETRY", "1"),
        ],
        retries: &[("CLAUDE_CODE_MAX_RETRIES", "1")],
        files: &[],
        login: &[],
        is_logged_in: true,
        replaced: &[],
        start_s: 30,
        patience_s: 60,
        resume: Some(&["-p", "--continue", "--dangerously-skip-permissions", "Go on."]),
    },
    Cli {
        name: "codex",
        package: "@openai/codex",
        beside: &[],
        version: "0.169.0",
        env: &[("MOCK_API_KEY", "{key}"), ("CODEX_API_KEY", "{key}")],
        retries: &[],
        files: &[(
            ".codex/config.toml",
            "model = \"gpt-5.5\"\nmodel_provider = \"mock\"\ncheck_for_update_on_startup = false\n\
             [analytics]\nenabled = false\n\
             [model_providers.mock]\nname = \"mock\"\nbase_url = \"{url}/v1\"\nenv_key = \"MOCK_API_KEY\"\n\
             wire_api = \"responses\"\nrequest_max_retries = 1\nstream_max_retries = 1\n",
        )],
        login: &[("env_key = \"MOCK_API_KEY\"", "requires_openai_auth = true")],
        is_logged_in: true,
        replaced: &[],
        start_s: 30,
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
        beside: &[],
        version: "0.61.0",
        env: &[
            ("GEMINI_API_KEY", "{key}"),
            ("GOOGLE_GEMINI_BASE_URL", "{url}"),
            ("GEMINI_TELEMETRY_ENABLED", "false"),
        ],
        retries: &[],
        files: &[(
            ".gemini/settings.json",
            "{\"model\":{\"name\":\"gemini-2.5-flash\"},\"security\":{\"auth\":{\"selectedType\":\"gemini-api-key\"}},\"telemetry\":{\"enabled\":false},\
             \"privacy\":{\"usageStatisticsEnabled\":false},\
             \"general\":{\"enableAutoUpdate\":false,\"disableAutoUpdate\":true,\"maxAttempts\":2}}",
        )],
        login: &[],
        is_logged_in: true,
        replaced: &[],
        start_s: 30,
        patience_s: 60,
        resume: Some(&["--yolo", "--skip-trust", "--resume", "latest", "-p", "Go on."]),
    },
    Cli {
        name: "opencode",
        package: "opencode-ai",
        beside: &[],
        version: "1.18.33",
        env: &[
            ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
            ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1"),
            ("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1"),
        ],
        retries: &[],
        files: &[(
            ".config/opencode/opencode.json",
            "{\"autoupdate\":false,\"share\":\"disabled\",\"model\":\"mock/mock-1\",\"small_model\":\"mock/mock-1\",\
             \"provider\":{\"mock\":{\"npm\":\"@ai-sdk/openai-compatible\",\"name\":\"mock\",\
             \"options\":{\"baseURL\":\"{url}/v1\",\"apiKey\":\"{key}\"},\"models\":{\"mock-1\":{\"name\":\"mock-1\",\
             \"limit\":{\"context\":200000,\"output\":8000}}}}}}",
        )],
        login: &[(",\"apiKey\":\"{key}\"", "")],
        is_logged_in: true,
        replaced: &[],
        start_s: 60,
        patience_s: 170,
        resume: Some(&["run", "--continue", "Go on."]),
    },
    Cli {
        name: "pi",
        package: "@earendil-works/pi-coding-agent",
        beside: &["node@22.23.3"],
        version: "0.87.1",
        env: &[("PI_TELEMETRY", "0")],
        retries: &[],
        files: &[(
            ".pi/agent/models.json",
            "{\"providers\":{\"mock\":{\"baseUrl\":\"{url}/v1\",\"api\":\"openai-completions\",\"apiKey\":\"{key}\",\
             \"models\":[{\"id\":\"mock-1\",\"name\":\"mock-1\",\"reasoning\":false,\"input\":[\"text\"],\
             \"cost\":{\"input\":0,\"output\":0,\"cacheRead\":0,\"cacheWrite\":0},\"contextWindow\":200000,\
             \"maxTokens\":8000}]}}}",
        )],
        login: &[("\"apiKey\":\"{key}\",", "")],
        is_logged_in: true,
        replaced: &[("PROVIDER/MODEL", "mock/mock-1")],
        start_s: 30,
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

    /// Whether it goes through this case: only where its patience can be chosen by a variable, it is left to itself.
    #[must_use]
    pub fn plays(&self, case: Case) -> bool {
        !matches!(case, Case::Patient(_)) || !self.retries.is_empty()
    }

    /// The same with all of its own retries.
    #[must_use]
    pub fn patient(&self) -> Cli {
        Cli { retries: &[], ..*self }
    }

    /// The same without any login.
    #[must_use]
    pub fn logged_out(&self) -> Cli {
        Cli { is_logged_in: false, ..*self }
    }

    /// Its environment when the provider is at `url`.
    pub fn env(&self, url: &str) -> Vec<(&'static str, String)> {
        let all = self.env.iter().chain(self.retries);
        let known = all.filter(|(_, value)| self.is_logged_in || !value.contains("{key}"));
        known.map(|(name, value)| (*name, filled(value, url))).collect()
    }

    /// The files of its home when the provider is at `url`.
    pub fn files(&self, url: &str) -> Vec<(&'static str, String)> {
        let without = |text: &str| {
            let login = self.login.iter().filter(|_| !self.is_logged_in);
            login.fold(text.to_owned(), |text, (login, none)| text.replace(login, none))
        };
        self.files.iter().map(|(path, text)| (*path, filled(&without(text), url))).collect()
    }
}

fn filled(text: &str, url: &str) -> String {
    text.replace("{url}", url).replace("{key}", FAKE_KEY)
}
