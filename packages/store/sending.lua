-- What start and resend both know about a send that is about to be ordered.

-- Nothing is sent anywhere until sending is allowed again; checks go on.
local function stopped_refusal() return { 'refused', 'sending_stopped', policy.stopped_retry_ms } end

local function gate_facts(spend, number, region, range, trusted, challenged)
  return {
    spend = tonumber(spend), number = number, region = region, range = range,
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

-- nil when it is used up now (or there is none), else the refusal. Asked last, right before the first write: what is
-- refused for anything else leaves the challenge unused.
local function use_challenge(key, challenged, expires, now)
  if challenged ~= '1' then return nil end
  local left_ms = math.max(expires - now, 0)
  local fresh = redis.call('SET', key, '1', 'NX', 'PX', left_ms + policy.clock_skew_ms)
  return not fresh and { 'refused', 'challenge_used', -1 } or nil
end
