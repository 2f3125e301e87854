-- Sends the code of one verification again, by its id.
--
-- KEYS[1] verification hash
-- KEYS[2] sends        list: times of sends to the number
-- KEYS[3] wrong checks list: times of wrong checks of the number
-- KEYS[4] agenda       sorted set
-- KEYS[5] suppression  hash: there when the number told one of ours to stop
-- ARGV    id, MAC and sealed copy with a new code ('' and '' under RESEND_CODE=same)
--
-- Replies {'sent_again', ...} as start.lua, or {'refused', code, retry after ms (-1: never)}
--
-- The life of the code and its checks stay as they were.
--@include clock.lua
--@include windows.lua
--@include ledger.lua
--@include resending.lua

local key, sends_key, wrong_key, agenda, suppression = unpack(KEYS)
local id, code_mac, sealed = unpack(ARGV)
local now = now_ms()

if redis.call('EXISTS', key) == 0 then return { 'refused', 'unknown_verification', -1 } end
local pending = pending_verification(key, agenda, id, now)
if not pending then return { 'refused', 'verification_ended', -1 } end

if redis.call('EXISTS', suppression) == 1 then return { 'refused', 'recipient_opted_out', -1 } end
local refusal = resend_refusal(pending, now)
if refusal then return refusal end
local retry_at = window_retry_at(wrong_key, policy.wrong_check_limits, now)
if retry_at > 0 then return { 'refused', 'check_limit', retry_at - now } end
retry_at = window_retry_at(sends_key, policy.send_limits, now)
if retry_at > 0 then return { 'refused', 'send_limit', retry_at - now } end

window_add(sends_key, policy.send_limits, now)
return resend(key, agenda, id, pending, code_mac, sealed, now)
