-- Takes later news of a message from the carrier.
--
-- KEYS[1] verification hash
-- KEYS[2] agenda       sorted set
-- ARGV    id, send, state (accepted | delivered | undelivered | failed), provider's message id, reason or ''
--
-- Replies {'moved', state} | {'kept', state}: older or repeated news | {'gone'}
--
-- Receipts come in any order and any number of times; the ledger only moves forwards. Any receipt proves that the
-- provider accepted the message, so it settles an unknown attempt and no second message leaves.
--@include clock.lua
--@include meters.lua
--@include ledger.lua

local key, agenda = unpack(KEYS)
local id, send, news, message, reason = unpack(ARGV)
local rank = { queued = 0, submitting = 0, unknown = 0, accepted = 1, undelivered = 2, failed = 2, delivered = 3 }

local state = get_send(key, send, 'state')
if not state then return { 'gone' } end
if not rank[state] or rank[news] <= rank[state] then return { 'kept', state } end
local now = now_ms()
if state == 'queued' or state == 'unknown' then leave_line(key, send) end
if reason ~= '' then redis.call('HSET', key, send_field(send, 'reason'), reason) end
move_send(key, send, news, now, 'message', message)
redis.call('HDEL', key, send_field(send, 'retry'))
return { 'moved', news }
