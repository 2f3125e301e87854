-- Sends the code of one verification again, by its id.
--
-- KEYS[1] verification hash
-- KEYS[2] sends        string: times of sends to the number, and of which verification
-- KEYS[3] wrong checks string: times of wrong checks of the number
-- KEYS[4] agenda       sorted set
-- KEYS[5] stopped      string, there while sending is stopped
-- KEYS[6] suppression  hash: there when the number told one of ours to stop
-- KEYS[7] row          string: wrong checks of the number in a row
-- KEYS[8] payments     string: wrong checks of the number's payments in a row
-- KEYS[9] challenge    string, there once the challenge was used; not touched when ARGV challenged is ''
-- KEYS[10...17] scopes of the gate, as start.lua
-- ARGV    id, MAC and sealed copy with a new code ('' and '' under RESEND_CODE=same),
--         facts for the gate, as start.lua: number, region, range; then all as start.lua: line, challenged and its end
--
-- Replies {'sent_again', ...} as start.lua, or {'refused', code, retry after ms (-1: never)}
--
-- The life of the code and its checks stay as they were. A challenge is used up as by a start.
--@include clock.lua
--@include windows.lua
--@include meters.lua
--@include ledger.lua
--@include gate.lua
--@include sending.lua
--@include resending.lua

local key, sends_key, wrong_key, agenda, stopped, suppression, row_key, payment_key, challenge = unpack(KEYS)
local id, code_mac, sealed, number, region, range, line, challenged, challenge_expires = unpack(ARGV)
local now = now_ms()

if redis.call('EXISTS', key) == 0 then return { 'refused', 'unknown_verification', -1 } end
local pending = pending_verification(key, agenda, id, now)
if not pending then return { 'refused', 'verification_ended', -1 } end
local is_test = pending.held == 'test_number'
local is_stopped, in_a_row = unpack(redis.call('MGET', stopped, row_key))
if is_stopped and not is_test then return stopped_refusal() end

if redis.call('EXISTS', suppression) == 1 then return { 'refused', 'recipient_opted_out', -1 } end
local refusal = disabled_refusal(in_a_row)
  or resend_refusal(pending, now)
  or window_refusal(wrong_key, policy.wrong_check_limits, 'check_limit', now)
  or (pending.context_tag ~= '' and payment_refusal(payment_key))
if not is_test then
  refusal = refusal
    or window_refusal(sends_key, policy.send_limits, 'send_limit', now)
    or backlog_refusal_of(pending, line, now)
end
if refusal then return refusal end
local facts = gate_facts(pending.spend, number, region, range, pending.trusted, challenged)
local passage = ask_gate(is_test and {} or policy.gate, { unpack(KEYS, 10) }, facts, now)
refusal = refusal_of(passage)
if refusal then return refusal end
refusal = use_challenge(challenge, challenged, challenge_expires, now)
if refusal then return refusal end

window_add(sends_key, policy.send_limits, now, id)
local held = held_again(pending, '')
count_passage(passage, held ~= '' and held)
return resend(key, agenda, id, pending, held, code_mac, sealed, explain_passage(passage), line, now)
