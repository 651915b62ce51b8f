//! Lines of a shell, as far as documents write them: commands, their words, comments. Pure.

use super::page::Block;

/// The lines of a block that somebody types, with the line each stands in.
pub(crate) fn typed<'a>(block: &Block<'a>) -> Vec<(usize, &'a str)> {
    let lines = block.lines.iter().enumerate().map(|(at, line)| (block.line + 1 + at, *line));
    let typed = lines.filter_map(|(at, line)| match block.language() {
        "console" => Some((at, line.strip_prefix("$ ")?)),
        "sh" | "" => (!line.trim().is_empty()).then_some((at, line)),
        _ => None,
    });
    // What a block with `file=` holds becomes a file.
    typed.filter(|_| !block.info.contains("file=")).collect()
}

/// The commands of a line, each as its words: without quotes, comments and redirections.
pub(crate) fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let mut quote = None;
    let end_word = |words: &mut Vec<String>, word: &mut Option<String>| {
        if let Some(word) = word.take() {
            words.push(word);
        }
    };
    for sign in line.chars() {
        match (quote, sign) {
            (Some(open), _) if sign == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(sign),
            (None, '\'' | '"') => {
                quote = Some(sign);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '&' | ';' | '(' | ')') => {
                end_word(&mut words, &mut word);
                commands.push(std::mem::take(&mut words));
            }
            (None, sign) if sign.is_whitespace() => end_word(&mut words, &mut word),
            (None, sign) => word.get_or_insert_default().push(sign),
        }
    }
    end_word(&mut words, &mut word);
    commands.push(words);
    for words in &mut commands {
        words.retain(|word| !word.trim_start_matches('2').starts_with('>'));
    }
    commands.retain(|words| !words.is_empty());
    commands
}

/// The words of a command behind its variables (`NAME=value`).
pub(crate) fn behind_variables(words: &[String]) -> &[String] {
    let is_variable = |word: &String| {
        let name = word.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        })
    };
    let first = words.iter().position(|word| !is_variable(word)).unwrap_or(words.len());
    words.get(first..).unwrap_or_default()
}

#[test]
fn a_line_falls_into_commands_and_words() {
    for (line, expected) in [
        ("a -b  c", vec![vec!["a", "-b", "c"]]),
        ("a 'b c' \"d | e\" # f", vec![vec!["a", "b c", "d | e"]]),
        ("(cd /x && a) 2>/dev/null | b; c >f", vec![vec!["cd", "/x"], vec!["a"], vec!["b"], vec!["c"]]),
        ("a x#y ''", vec![vec!["a", "x#y", ""]]),
        ("# only words", vec![]),
    ] {
        let found = commands(line);
        assert_eq!(found, expected, "{line}");
    }
    let words = &commands("A_B=1 C= d E=2")[0];
    assert_eq!(behind_variables(words), ["d", "E=2"]);
}

#[test]
fn what_is_typed_depends_on_the_language() {
    let block = |info, lines| Block { line: 7, info, lines, closed: true };
    assert_eq!(typed(&block("console", vec!["$ a", "said", "$ b"])), [(8, "a"), (10, "b")]);
    assert_eq!(typed(&block("sh", vec!["a", "", "b"])), [(8, "a"), (10, "b")]);
    assert_eq!(typed(&block("sh file=x.env", vec!["A=1"])), []);
    assert_eq!(typed(&block("text", vec!["$ a"])), []);
}
