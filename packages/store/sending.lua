-- What start and resend both know about a send that is about to be ordered.

-- Nothing is sent anywhere until sending is allowed again; checks go on.
local function stopped_refusal() return { 'refused', 'sending_stopped', policy.stopped_retry_ms } end

local function gate_facts(spend, number, region, trusted, challenged)
  return {
    spend = tonumber(spend), number = number, region = region,
    trusted = trusted and trusted ~= '', challenged = challenged ~= '',
  }
end

-- The line a verification's sends wait in; another when that is none of ours any more.
local function line_of(pending, line) return policy.lines[pending.line] and pending.line or line end

-- Whether what waits leaves time for a send of this verification, or of a new one.
local function backlog_refusal_of(pending, line, now)
  local known = pending and line_of(pending, line) or line
  local expires = pending and pending.expires or now + policy.code_ttl_ms
  return backlog_refusal(known, expires - policy.send_reserve_ms, now)
end

-- The send is visible to the API key's holder and never leaves.
local function hold_send(key, agenda, id, send, expires, reason, now)
  move_send(key, send, 'suppressed', now, 'reason', reason)
  look_again_at(agenda, id, expires, now)
end
