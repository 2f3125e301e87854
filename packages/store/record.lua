-- Records what a claimed attempt came to, while its token still holds.
--
-- KEYS[1] verification hash
-- KEYS[2] agenda       sorted set
-- ARGV    id, send, fencing token, outcome (accepted | rejected | busy | unknown | found), provider's message id or '',
--         reason or '', ms until a busy attempt may be made again, provider that was asked or '-', our number or '',
--         how many attempts may be busy for this reason (0: any number)
--
-- Replies {'recorded', state}: the send has come to rest
--         {'retry', ms}: the send is to be tried again then
--         {'stale'}: another attempt has been claimed meanwhile; nothing was written
--
-- A receipt may have come first: what it proved is never taken back.
--@include clock.lua
--@include meters.lua
--@include ledger.lua

local key, agenda = unpack(KEYS)
local id, send, token, outcome, message, reason, wait_ms, provider, from, tries_max = unpack(ARGV)
local now = now_ms()
local state, held, submitted, attempts, at = get_send(key, send, 'state', 'token', 'submitted', 'attempts', 'at')
if held ~= token then return { 'stale' } end
local status, expires, sends = unpack(redis.call('HMGET', key, 'status', 'expires', 'sends'))
expires, sends, submitted = tonumber(expires), tonumber(sends), tonumber(submitted)

local function rest(final, ...)
  if state == 'unknown' then leave_line(key, send) end
  move_send(key, send, final, now, ...)
  if status == 'pending' then
    look_again_at(agenda, id, expires, now)
  else
    rest_on_agenda(key, agenda, id, sends, now)
  end
  return { 'recorded', final }
end

local function retry_in(ms, waiting, ...)
  move_send(key, send, waiting, now, 'retry', now + ms, ...)
  local line, segments = get_line(key)
  if line then join_line(line, key, send, segments, expires - policy.send_reserve_ms) end
  look_again_at(agenda, id, now + ms + policy.sweep_after_ms, now)
  return { 'retry', ms }
end

local began = get_attempt(key, send, attempts)
local noted = { began, provider, outcome, now - at - began, reason }
if from ~= '' and note_from(key, send, attempts, from) then noted[6] = from end
redis.call('HSET', key, send_field(send, 'a' .. attempts), table.concat(noted, ' '))
if message ~= '' then redis.call('HSET', key, send_field(send, 'message'), message) end
-- Messages of earlier attempts that may have left.
local left = submitted - 1
-- Late, and overtaken by nobody: an acceptance is still the truth.
if state == 'submitting' or state == 'unknown' then
  if outcome == 'accepted' then return rest('accepted') end
  if outcome == 'found' then return rest('accepted', 'submitted', left) end
end
if state ~= 'submitting' then return { 'recorded', state } end

-- Attempts that were busy for this reason, this one included.
local function tries()
  local count = 0
  for attempt = 1, attempts do
    local earlier = get_send(key, send, 'a' .. attempt)
    if earlier and string.match(earlier, '^%d+ %S+ busy %d+ (%S+)') == reason then count = count + 1 end
  end
  return count
end

if outcome == 'busy' and tonumber(tries_max or 0) > 0 and tries() >= tonumber(tries_max) then outcome = 'rejected' end

-- Then the send stays unknown, never told as unsent.
if outcome == 'rejected' then return rest(left > 0 and 'unknown' or 'rejected', 'reason', reason) end

local newest = tonumber(send) == sends
local function in_time(ms) return status == 'pending' and newest and now + ms < expires - policy.send_reserve_ms end

if outcome == 'busy' then
  local ms = tonumber(wait_ms)
  if in_time(ms) then return retry_in(ms, left > 0 and 'unknown' or 'queued', 'submitted', left, 'reason', reason) end
  if left > 0 then return rest('unknown', 'submitted', left) end
  if status == 'pending' and not newest then return rest('superseded', 'submitted', left, 'reason', 'superseded') end
  if status == 'pending' then return rest('expired', 'submitted', left, 'reason', 'not_sent_in_time') end
  return rest(status == 'expired' and 'expired' or 'canceled', 'submitted', left, 'reason', status)
end

local again = policy.unknown == 'resend' and submitted < policy.submissions_max
if again and in_time(policy.receipt_wait_ms) then return retry_in(policy.receipt_wait_ms, 'unknown', 'reason', reason) end
return rest('unknown', 'reason', reason)
