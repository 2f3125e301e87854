-- Records what a claimed attempt came to, while its token still holds.
--
-- KEYS[1] verification hash
-- KEYS[2] agenda       sorted set
-- ARGV    id, send, fencing token, outcome (accepted | rejected | busy | unknown), provider's message id or '',
--         reason or '', ms until a busy attempt may be made again
--
-- Replies {'recorded', state}: the send has come to rest
--         {'retry', ms}: the send is to be tried again then
--         {'stale'}: another attempt has been claimed meanwhile; nothing was written
--
-- A receipt may have come first: what it proved is never taken back.
--@include clock.lua
--@include ledger.lua

local key, agenda = unpack(KEYS)
local id, send, token, outcome, message, reason, wait_ms = unpack(ARGV)
local now = now_ms()
local state, held, submitted = get_send(key, send, 'state', 'token', 'submitted')
if held ~= token then return { 'stale' } end
local status, expires = unpack(redis.call('HMGET', key, 'status', 'expires'))
expires = tonumber(expires)

local function rest(final, ...)
  move_send(key, send, final, now, ...)
  if status == 'pending' then
    look_again_at(agenda, id, expires, now)
  else
    redis.call('ZREM', agenda, id)
  end
  return { 'recorded', final }
end

local function retry_in(ms, waiting, ...)
  move_send(key, send, waiting, now, 'retry', now + ms, ...)
  look_again_at(agenda, id, now + ms + policy.sweep_after_ms, now)
  return { 'retry', ms }
end

if message ~= '' then redis.call('HSET', key, send_field(send, 'message'), message) end
if state ~= 'submitting' then return { 'recorded', state } end

if outcome == 'accepted' then return rest('accepted') end
if outcome == 'rejected' then return rest('rejected', 'reason', reason) end

local in_time = status == 'pending' and now + tonumber(wait_ms) < expires - policy.send_reserve_ms
if outcome == 'busy' then
  local left = tonumber(submitted) - 1
  -- An earlier attempt may have left: the send stays unknown, not unsent.
  local waiting = left > 0 and 'unknown' or 'queued'
  if in_time then return retry_in(tonumber(wait_ms), waiting, 'submitted', left, 'reason', reason) end
  if left > 0 then return rest('unknown', 'submitted', left) end
  if status == 'pending' then return rest('expired', 'submitted', left, 'reason', 'not_sent_in_time') end
  return rest(status == 'expired' and 'expired' or 'canceled', 'submitted', left, 'reason', status)
end

local again = policy.unknown == 'resend' and tonumber(submitted) < policy.submissions_max
if again and status == 'pending' and now + policy.receipt_wait_ms < expires - policy.send_reserve_ms then
  return retry_in(policy.receipt_wait_ms, 'unknown', 'reason', reason)
end
return rest('unknown', 'reason', reason)
