#!/bin/sh
# A scripted stand-in for an agent CLI: prints what Claude Code prints with `--output-format stream-json`,
# and does what the mode says. Needs sh, coreutils and git.
#
# The mode is read at the start of each run: the first line of <state>/mode, of .fake-mode in the work tree,
# or $FAKE_AGENT_MODE; `work` otherwise. Of several lines each run takes one, and the last one stays.
# <state> is .git/fake-agent (.fake-agent without git): mode, runs, prompt, argv, env, pids of what was left.

[ "$1" = --version ] && { echo "2.0.0 (scripted agent)"; exit 0; }

git_dir=$(git rev-parse --absolute-git-dir 2>/dev/null)
state=${git_dir:+$git_dir/fake-agent}
state=${state:-$PWD/.fake-agent}
mkdir -p "$state" || exit 1

for file in "$state/mode" .fake-mode; do
    [ -s "$file" ] || continue
    read -r mode argument <"$file"
    if [ "$(wc -l <"$file")" -gt 1 ]; then
        tail -n +2 "$file" >"$state/mode.next" && mv "$state/mode.next" "$file"
    fi
    break
done
[ -n "$mode" ] || read -r mode argument <<EOF
${FAKE_AGENT_MODE:-work}
EOF

echo run >>"$state/runs"
number=$(wc -l <"$state/runs" | tr -d ' ')
printf '%s\n' "$@" >"$state/argv"
env >"$state/env"
if [ -t 0 ]; then : >"$state/prompt"; else cat >"$state/prompt"; fi
session=$(printf '00000000-0000-4000-8000-%012d' "$number")

emit() { printf '%s\n' "$1"; }
init() {
    cwd=$(pwd | tr -d '"\\')
    emit '{"type":"system","subtype":"init","cwd":"'"$cwd"'","session_id":"'"$session"'","tools":["Bash","Edit","Read","Write"],"mcp_servers":[],"model":"claude-opus-5","permissionMode":"bypassPermissions"}'
}
says() {
    emit '{"type":"assistant","message":{"id":"msg_'"$number"'","role":"assistant","model":"claude-opus-5","content":[{"type":"text","text":"'"$1"'"}]},"session_id":"'"$session"'"}'
}
uses() { # tool, key, value
    emit '{"type":"assistant","message":{"id":"msg_'"$number"'","role":"assistant","model":"claude-opus-5","content":[{"type":"tool_use","id":"toolu_'"$number"'","name":"'"$1"'","input":{"'"$2"'":"'"$3"'"}}]},"session_id":"'"$session"'"}'
}
succeeds() {
    emit '{"type":"result","subtype":"success","is_error":false,"result":"done","num_turns":3,"duration_ms":1200,"duration_api_ms":900,"total_cost_usd":0.0125,"usage":{"input_tokens":12,"output_tokens":340,"cache_read_input_tokens":9000,"cache_creation_input_tokens":800},"session_id":"'"$session"'"}'
    exit 0
}
fails() { # status, text
    emit '{"type":"result","subtype":"success","is_error":true,"api_error_status":'"$1"',"result":"'"$2"'","num_turns":1,"duration_ms":150,"duration_api_ms":0,"total_cost_usd":0,"usage":{},"session_id":"'"$session"'"}'
    exit 1
}
retries() { # status, error
    emit '{"type":"system","subtype":"api_retry","attempt":1,"max_retries":1,"error_status":'"$1"',"error":"'"$2"'","session_id":"'"$session"'"}'
}
writes() {
    uses Write file_path work.md
    echo "step $number" >>work.md
}
works() {
    writes
    uses Bash command 'git commit'
    git add -- work.md >&2 &&
        git -c user.name='Scripted Agent' -c user.email=agent@example.invalid commit --quiet -m "work: step $number" -- work.md >&2 ||
        { emit '{"type":"result","subtype":"error_during_execution","is_error":true,"result":"git failed","num_turns":1,"duration_ms":10,"total_cost_usd":0,"usage":{}}'; exit 1; }
    says "step $number is committed"
}
leaves() { echo "$1" >>"$state/pids"; }
# Nothing waits for ever, not even a test that failed.
day=86400

case $mode in
work) init; works; succeeds ;;
idle) init; says "nothing to do"; succeeds ;;
dirty) init; writes; says "left uncommitted"; succeeds ;;
sleep) init; sleep "${argument:-1}"; works; succeeds ;;
exit) init; says "ends with ${argument:-1}"; exit "${argument:-1}" ;;
auth) init; retries 401 authentication_failed; fails 401 "Invalid API key · Please run /login" ;;
overloaded) init; retries 529 overloaded; fails 529 "API Error: 529 overloaded" ;;
ratelimit)
    init
    emit '{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","rateLimitType":"five_hour","resetsAt":'"$(($(date +%s) + ${argument:-300}))"'},"session_id":"'"$session"'"}'
    fails 429 "You have hit your limit"
    ;;
hang) init; leaves $$; exec sleep $day ;;
ignore_term)
    trap '' TERM
    init
    leaves $$
    while :; do sleep $day; done
    ;;
stop_self) init; leaves $$; kill -STOP $$; works; succeeds ;;
fork_setsid)
    init
    setsid sh -c "trap '' TERM; "'echo $$ >>"$1"; exec sleep "$2"' left "$state/pids" $day </dev/null >/dev/null 2>&1 &
    works
    # It has to be there when this run ends.
    while [ ! -s "$state/pids" ]; do sleep 0.05; done
    succeeds
    ;;
hold_stdout)
    init
    setsid sh -c 'echo $$ >>"$1"; exec sleep "$2"' left "$state/pids" $day </dev/null &
    works
    while [ ! -s "$state/pids" ]; do sleep 0.05; done
    succeeds
    ;;
flood) init; yes 'the quick brown fox jumps over the lazy dog, and then it does so again' | head -c "${argument:-1000000}"; echo; works; succeeds ;;
garbage)
    init
    printf 'a NUL \000 and broken UTF-8 \377\376\303( and \033[31mred\033[0m\n'
    printf '{"type":"result","is_error":fal\n'
    printf '[1,2\n{}\n"text"\nnull\n'
    works
    succeeds
    ;;
*) echo "scripted agent: unknown mode: $mode" >&2; exit 64 ;;
esac
