#!/bin/sh
# A scripted stand-in for an agent CLI: takes its prompt on stdin, commits a line of work, and prints what Claude Code
# prints in stream-json. While the file login-expired is in the home folder, it prints what an expired login prints.
cat >/dev/null
if [ -e "$HOME/login-expired" ]; then
    printf '%s\n' '{"type":"system","subtype":"api_retry","error_status":401,"error":"authentication_failed"}'
    printf '%s\n' '{"type":"result","subtype":"success","is_error":true,"api_error_status":401,"result":"Invalid API key. Please run /login"}'
    exit 1
fi
printf '%s\n' '{"type":"system","subtype":"init","model":"scripted"}'
sleep 1
printf 'round %s on %s\n' "$AGENT_RUNNER_ROUND_NUM" "$DEMO_HOST" >>JOURNAL.md
git add JOURNAL.md && git commit --quiet --message "journal: round $AGENT_RUNNER_ROUND_NUM"
printf '%s\n' '{"type":"assistant","message":{"model":"scripted","content":[{"type":"tool_use","name":"Edit","input":{"file_path":"JOURNAL.md"}}]}}'
printf '%s\n' '{"type":"result","subtype":"success","is_error":false,"result":"done","duration_ms":1000,"total_cost_usd":0.01,"usage":{"input_tokens":12,"output_tokens":34,"cache_read_input_tokens":900,"cache_creation_input_tokens":80}}'
