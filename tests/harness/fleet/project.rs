//! The files of a project that any host may have.

/// A configuration whose agent is looked for on the host's PATH.
pub const CONFIG: &str = r#"schema_version = 1

[agent]
command = ["claude"]
prompt_arg_template = ["-p"]
prompt_delivery = "stdin"

[runtime]
work_dir = "."
log_dir = "~/.agent-runner/{project}/logs"

[prompt]
file = "./prompts/main.md"
"#;

/// A prompt: agents get none that is shorter than 500 bytes.
pub const PROMPT: &str = "\
You work in the repository of the demo, unattended, one round after another. Each round is a fresh start: nothing of
the one before is remembered but what it committed. The block above says which round this is and how the previous one
ended. In this round: read work.md to see what has been done, do one small piece of work completely, append one line
about it to work.md, and commit everything with a message that says what changed, so that the work tree is clean when
you end. Do not start anything that outlives the round. When there is nothing left to do, say so and end.
";
