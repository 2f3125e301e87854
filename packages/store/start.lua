-- Starts a verification; or, while one is pending for this application, number and purpose, sends again.
--
-- KEYS[1] pointer      string: id of the newest verification of this number and purpose
-- KEYS[2] verification hash of the new id
-- KEYS[3] sends        string: times of sends to the number, and of which verification
-- KEYS[4] wrong checks string: times of wrong checks of the number
-- KEYS[5] agenda       sorted set
-- KEYS[6] idempotency  string; not touched when ARGV fingerprint is ''
-- KEYS[7] stopped      string, there while sending is stopped
-- KEYS[8] challenge    string, there once the challenge was used; not touched when ARGV challenged is ''
-- KEYS[9] suppression  hash: there when the number told one of ours to stop
-- KEYS[10] row         string: wrong checks of the number in a row
-- KEYS[11] payments    string: wrong checks of the number's payments in a row
-- KEYS[12...19] scopes of the gate, hashes of meters, in the order of policy.gate; a key that ends in `@-` is none
-- ARGV    prefix of verification keys, new id ('' when no code was made), number's tag, masked number, code MAC,
--         sealed number and code, purpose, channel, locale, fingerprint of the request ('' without Idempotency-Key),
--         id the next two were made for ('' under RESEND_CODE=same), MAC and sealed copy with its new code,
--         keys of the scopes its conversion is counted for,
--         why the message is held back ('test_number' | 'number_denied') or '', 'silent' or '',
--         facts for the gate: spend (millionths of the currency), short tag of the number, region, digit of its range,
--         'trusted' or '', challenged ('1' when a challenge was passed, else ''), end of that challenge (ms; '' without),
--         sealed context or '', which context or '', the line its sends wait in (one of policy.lines),
--         segments of its message
--
-- Replies {'started' | 'sent_again', id, send, created, expires, next send (0: none left), sends left, checks left,
--          now, channel, locale, explain}; times in ms; explain: `rule=mode ...`, the rules that spoke up
--         {'refused', code, retry after ms (-1: never)[, name of the limit]}
--         {'make'}: a code is needed and was not given (MAC '' below), or was made for another verification than is
--         pending; ask again with one. Nothing was written
--
-- Everything is checked before anything is counted: a refusal leaves no trace. What a pending verification had
-- already used up (checks, sends, life) does not come back while it is pending. One that takes its place begins anew
-- with all three; what binds both are the limits of the number, and the wait after the last message. A challenge is
-- used up by the start it was passed for and by no other answer.
--
-- A silent caller learns nothing about a number from its answers: where others are refused, a verification is begun
-- like any other, whose message is held back.
--@include clock.lua
--@include windows.lua
--@include meters.lua
--@include ledger.lua
--@include gate.lua
--@include sending.lua
--@include resending.lua

local pointer, key, sends_key, wrong_key, agenda, idempotency, stopped, challenge, suppression, row_key,
  payment_key = unpack(KEYS)
local prefix, new_id, to_tag, to_masked, code_mac, sealed, purpose, channel, locale, fingerprint,
  resend_id, resend_mac, resend_sealed, gates, held, silent,
  spend, number, region, range, trusted, challenged, challenge_expires, context, context_tag, line, segments = unpack(ARGV)

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
    local reply = cjson.decode(string.sub(kept, #fingerprint + 1))
    -- What the rules had to say has been said.
    reply[#reply] = ''
    return reply
  end
end

local now = now_ms()
local pending_id, is_stopped, in_a_row = unpack(redis.call('MGET', pointer, stopped, row_key))
if is_stopped and held ~= 'test_number' then return stopped_refusal() end

if redis.call('EXISTS', suppression) == 1 and held == '' then
  if silent == '' then return { 'refused', 'recipient_opted_out', -1 } end
  held = 'recipient_opted_out'
end

-- A code that could not be checked is not worth a message.
local refusal = disabled_refusal(in_a_row)
if refusal and silent == '' then return refusal end
if refusal and held == '' then held = refusal[2] end
refusal = window_refusal(wrong_key, policy.wrong_check_limits, 'check_limit', now)
  or (context_tag ~= '' and payment_refusal(payment_key))
if refusal then return refusal end

local pending_key = pending_id and prefix .. pending_id
local pending = pending_id and pending_verification(pending_key, agenda, pending_id, now)
if pending then
  refusal, pending.replaced = start_refusal(pending_key, pending, context_tag, now)
  if refusal then return refusal end
end
local again = pending and not pending.replaced

-- A test run starts as often as it likes.
refusal = held ~= 'test_number' and window_refusal(sends_key, policy.send_limits, 'send_limit', now)
if refusal then return refusal end
-- A silent caller is told this too: it says nothing about the number.
if held ~= 'test_number' then
  refusal = backlog_refusal_of(again and pending, line, now)
  if refusal then return refusal end
end
-- What leaves once more is the message of the pending one, in its channel and its language.
if again then spend, trusted = pending.spend, pending.trusted end
local facts = gate_facts(spend, number, region, range, trusted, challenged)
local passage = ask_gate(held == 'test_number' and {} or policy.gate, { unpack(KEYS, 12) }, facts, now)
local refused, held_by = refusal_of(passage, silent ~= '')
if refused then return refused end
held = held_by or held

if again and policy.resend_code == 'new' and resend_id ~= pending_id then return { 'make' } end
if not again and code_mac == '' then return { 'make' } end

refusal = use_challenge(challenge, challenged, challenge_expires, now)
if refusal then return refusal end

if again then held = held_again(pending, held) end
window_add(sends_key, policy.send_limits, now, again and pending_id or new_id)
count_passage(passage, held ~= '' and held)
local explain = explain_passage(passage)
if again then
  return remember(resend(pending_key, agenda, pending_id, pending, held, resend_mac, resend_sealed, explain, line, now))
end

if pending then end_verification(pending_key, agenda, pending_id, 'canceled', 'superseded', now) end
local expires = now + policy.code_ttl_ms
local life_ms = policy.code_ttl_ms + policy.retention_ms
redis.call('SET', pointer, new_id, 'PX', life_ms)
redis.call('HSET', key, 'status', 'pending', 'purpose', purpose, 'channel', channel, 'locale', locale,
  'to_tag', to_tag, 'to_masked', to_masked, 'code_mac', code_mac, 'sealed', sealed,
  'created', now, 'expires', expires, 'spend', spend, 'gates', gates, 'line', line)
redis.call('PEXPIRE', key, life_ms)
if segments ~= '1' then redis.call('HSET', key, 'segments', segments) end
if context ~= '' then redis.call('HSET', key, 'context', context, 'context_tag', context_tag) end
if explain ~= '' then redis.call('HSET', key, 'explain', explain) end
if trusted ~= '' then redis.call('HSET', key, 'trusted', '1') end
if silent ~= '' then redis.call('HSET', key, 'silent', '1') end
local next_send = add_send(key, agenda, new_id, 1, now)
tell_verification(key, 'started', now)
if held ~= '' then
  redis.call('HSET', key, 'held', held)
  hold_send(key, agenda, new_id, 1, expires, held, now)
else
  join_line(line, key, 1, tonumber(segments), expires - policy.send_reserve_ms)
end
return remember({
  'started', new_id, 1, now, expires, next_send, #policy.resend_waits_ms, checks_max_of(context_tag), now, channel, locale,
  explain,
})
