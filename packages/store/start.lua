-- Starts a verification; or, while one is pending for this application, number and purpose, sends again.
--
-- KEYS[1] pointer      string: id of the newest verification of this number and purpose
-- KEYS[2] verification hash of the new id
-- KEYS[3] sends        list: times of sends to the number
-- KEYS[4] wrong checks list: times of wrong checks of the number
-- KEYS[5] agenda       sorted set
-- KEYS[6] idempotency  string; not touched when ARGV fingerprint is ''
-- KEYS[7] challenge    string: set once a challenge is used; not touched when ARGV challenged is ''
-- ARGV    prefix of verification keys, new id ('' when no code was made), number's tag, masked number, code MAC, sealed number and code, purpose, channel,
--         locale, fingerprint of the request ('' without Idempotency-Key),
--         id the next two were made for ('' under RESEND_CODE=same), MAC and sealed copy with its new code,
--         challenged ('1' when a challenge was passed, else ''), end of that challenge (ms; '' without one)
--
-- Replies {'started' | 'sent_again', id, send, created, expires, next send (0: none left), sends left, checks left,
--          now, channel, locale}; times in ms
--         {'refused', code, retry after ms (-1: never)}
--         {'make'}: a code is needed and was not given (MAC '' below), or was made for another verification than is
--         pending; ask again with one. Nothing was written
--
-- Everything is checked before anything is counted: a refusal leaves no trace. What a pending verification had
-- already used up (checks, sends, life) never comes back by starting again. A challenge is used up by the start it was
-- passed for and by no other answer.
--@include clock.lua
--@include windows.lua
--@include ledger.lua
--@include resending.lua

local pointer, key, sends_key, wrong_key, agenda, idempotency, challenge = unpack(KEYS)
local prefix, new_id, to_tag, to_masked, code_mac, sealed, purpose, channel, locale, fingerprint,
  resend_id, resend_mac, resend_sealed, challenged, challenge_expires = unpack(ARGV)

local function remember(reply)
  if fingerprint ~= '' then
    redis.call('SET', idempotency, fingerprint .. cjson.encode(reply), 'PX', policy.idempotency_ttl_ms)
  end
  return reply
end

if fingerprint ~= '' then
  local kept = redis.call('GET', idempotency)
  if kept then
    if string.sub(kept, 1, #fingerprint) ~= fingerprint then return { 'refused', 'idempotency_mismatch', -1 } end
    return cjson.decode(string.sub(kept, #fingerprint + 1))
  end
end

local now = now_ms()

-- A code that could not be checked is not worth a message.
local retry_at = window_retry_at(wrong_key, policy.wrong_check_limits, now)
if retry_at > 0 then return { 'refused', 'check_limit', retry_at - now } end

local pending_id = redis.call('GET', pointer)
local pending_key = pending_id and prefix .. pending_id
local pending = pending_id and pending_verification(pending_key, agenda, pending_id, now)
if pending then
  local refusal = resend_refusal(pending, now)
  if refusal and refusal[2] ~= 'too_late_to_send' then return refusal end
  -- Too little life is left in it for another message: the new verification takes its place.
  pending.replaced = refusal ~= nil
end

-- The place of the abuse policy: every further limit is checked here, before anything is written.
retry_at = window_retry_at(sends_key, policy.send_limits, now)
if retry_at > 0 then return { 'refused', 'send_limit', retry_at - now } end

-- Asked last, right before the first write: a start that is refused for anything else leaves the challenge unused.
local function challenge_was_used()
  if challenged ~= '1' then return false end
  local left_ms = math.max(challenge_expires - now, 0)
  return not redis.call('SET', challenge, '1', 'NX', 'PX', left_ms + policy.clock_skew_ms)
end

if pending and not pending.replaced then
  if policy.resend_code == 'new' and resend_id ~= pending_id then return { 'make' } end
  if challenge_was_used() then return { 'refused', 'challenge_used', -1 } end
  window_add(sends_key, policy.send_limits, now)
  return remember(resend(pending_key, agenda, pending_id, pending, resend_mac, resend_sealed, now))
end

if code_mac == '' then return { 'make' } end
if challenge_was_used() then return { 'refused', 'challenge_used', -1 } end
if pending then end_verification(pending_key, agenda, pending_id, 'canceled', 'superseded', now) end
local expires = now + policy.code_ttl_ms
local life_ms = policy.code_ttl_ms + policy.retention_ms
window_add(sends_key, policy.send_limits, now)
redis.call('SET', pointer, new_id, 'PX', life_ms)
redis.call('HSET', key, 'status', 'pending', 'purpose', purpose, 'channel', channel, 'locale', locale,
  'to_tag', to_tag, 'to_masked', to_masked, 'code_mac', code_mac, 'sealed', sealed,
  'created', now, 'expires', expires, 'wrong', 0)
redis.call('PEXPIRE', key, life_ms)
local next_send = add_send(key, agenda, new_id, 1, now)
return remember({
  'started', new_id, 1, now, expires, next_send, #policy.resend_waits_ms, policy.checks_max, now, channel, locale,
})
