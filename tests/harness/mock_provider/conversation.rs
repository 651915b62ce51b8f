//! What a request's conversation holds: tool results since the last prompt, and the tools there are.
#![expect(clippy::indexing_slicing, reason = "a missing member of a JSON value is null")]

use serde_json::{Value, json};

use super::behavior::Tool;
use super::request::Dialect;

/// Names by which agents call the tool that runs a command.
const SHELLS: [&str; 8] =
    ["Bash", "bash", "exec_command", "shell_command", "run_shell_command", "shell", "local_shell", "execute"];
/// And the one that writes a whole file.
const WRITERS: [&str; 4] = ["Write", "write", "write_file", "create_file"];

/// How many tool results there are after the last prompt.
pub(super) fn results(dialect: Dialect, body: &Value) -> usize {
    let entries = match dialect {
        Dialect::Anthropic | Dialect::Chat => &body["messages"],
        Dialect::Responses => &body["input"],
        Dialect::Gemini => &body["contents"],
    };
    let mut count = 0;
    for entry in entries.as_array().into_iter().flatten().rev() {
        let here = match dialect {
            Dialect::Anthropic => blocks(&entry["content"], |block| block["type"] == "tool_result"),
            Dialect::Chat => usize::from(entry["role"] == "tool"),
            Dialect::Responses => {
                let kind = entry["type"].as_str().unwrap_or("");
                usize::from(kind.ends_with("_call_output"))
            }
            Dialect::Gemini => blocks(&entry["parts"], |part| !part["functionResponse"].is_null()),
        };
        if here == 0 && entry["role"] == "user" {
            break;
        }
        count += here;
    }
    count
}

/// The tools of a request: name and the properties of its arguments.
pub(super) fn tools(dialect: Dialect, body: &Value) -> Vec<(String, Value)> {
    let declared: Vec<&Value> = match dialect {
        Dialect::Gemini => {
            items(&body["tools"]).flat_map(|tool| items(&tool["functionDeclarations"])).collect()
        }
        Dialect::Anthropic | Dialect::Chat | Dialect::Responses => items(&body["tools"]).collect(),
    };
    let named = declared.into_iter().filter_map(|tool| {
        let tool = if tool["function"].is_object() { &tool["function"] } else { tool };
        let name = tool["name"].as_str().or_else(|| tool["type"].as_str())?;
        let schema = ["input_schema", "parameters", "parametersJsonSchema"].iter();
        let schema = schema.map(|key| &tool[*key]).find(|schema| schema.is_object());
        Some((name.to_owned(), schema.map_or(Value::Null, |schema| schema["properties"].clone())))
    });
    named.collect()
}

/// A tool call as this agent knows it: name and arguments. Without a tool that writes files a command does it.
pub(super) fn call(tool: &Tool, tools: &[(String, Value)]) -> Option<(String, Value)> {
    let named = |names: &[&str]| tools.iter().find(|(name, _)| names.contains(&name.as_str()));
    match tool {
        Tool::Write { path, content } => {
            let Some((name, properties)) = named(&WRITERS) else {
                let command = format!("printf '%s' '{content}' >> {path}");
                return call(&Tool::Shell(command), tools);
            };
            let key = ["file_path", "filePath", "path"].into_iter();
            let key = key.into_iter().find(|key| !properties[*key].is_null()).unwrap_or("file_path");
            Some((name.clone(), json!({ key: path, "content": content })))
        }
        Tool::Shell(command) => {
            let (name, properties) = named(&SHELLS)?;
            let mut arguments = match properties["command"]["type"].as_str() {
                Some("array") => json!({ "command": ["bash", "-lc", command] }),
                _ if properties["cmd"].is_object() => json!({ "cmd": command }),
                _ => json!({ "command": command }),
            };
            if let Some(arguments) =
                arguments.as_object_mut().filter(|_| properties["description"].is_object())
            {
                arguments.insert("description".into(), "does a step of the work".into());
            }
            Some((name.clone(), arguments))
        }
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn blocks(value: &Value, wanted: impl Fn(&Value) -> bool) -> usize {
    items(value).filter(|block| wanted(block)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted_since_the_last_prompt_in_every_dialect() {
        let anthropic = json!({"messages": [
            {"role": "user", "content": "old"}, {"role": "assistant", "content": [{"type": "tool_use"}]},
            {"role": "user", "content": [{"type": "tool_result"}]}, {"role": "assistant", "content": "done"},
            {"role": "user", "content": "new"}, {"role": "assistant", "content": [{"type": "tool_use"}]},
            {"role": "user", "content": [{"type": "tool_result"}, {"type": "text"}]}]});
        assert_eq!(results(Dialect::Anthropic, &anthropic), 1);
        let chat = json!({"messages": [{"role": "system"}, {"role": "user"}, {"role": "assistant"},
            {"role": "tool"}, {"role": "assistant"}, {"role": "tool"}]});
        assert_eq!(results(Dialect::Chat, &chat), 2);
        let responses = json!({"input": [{"type": "message", "role": "user"}, {"type": "function_call"},
            {"type": "function_call_output"}]});
        assert_eq!(results(Dialect::Responses, &responses), 1);
        let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "go"}]},
            {"role": "model", "parts": [{"functionCall": {}}]},
            {"role": "user", "parts": [{"functionResponse": {}}]}]});
        assert_eq!(results(Dialect::Gemini, &gemini), 1);
    }

    #[test]
    fn a_call_takes_the_names_the_agent_declared() {
        let declared = json!({"tools": [{"type": "function", "name": "exec_command",
            "parameters": {"properties": {"cmd": {"type": "string"}}}}]});
        let tools = tools(Dialect::Responses, &declared);
        let (name, arguments) = call(&Tool::Shell("ls".into()), &tools).unwrap();
        assert_eq!((name.as_str(), arguments), ("exec_command", json!({"cmd": "ls"})));
        let (_, arguments) = call(&Tool::Write { path: "a".into(), content: "b".into() }, &tools).unwrap();
        assert_eq!(arguments["cmd"], "printf '%s' 'b' >> a");
    }
}
