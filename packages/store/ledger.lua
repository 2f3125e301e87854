-- The verification hash and the sends inside it. Fields of the verification:
--   status pending|approved|canceled|expired|exhausted, purpose, channel, locale, to_tag, to_masked,
--   code_mac, sealed (number and code; gone once ended), created, expires (ms), ended (ms, once ended),
--   wrong (count, once there is one), sends (count), next_send (ms), explain (rules that spoke up),
--   gates (keys of the scopes its conversion is counted for), spend (price of a send, in millionths), trusted,
--   held (why the newest send is not sent), silent (its caller must not learn that),
--   context and context_tag (the payment, sealed, and which it is; gone once ended),
--   line (key of the line its sends wait in), segments (of its message, if over 1)
-- Fields of send N, `N:name`:
--   state (see docs/states.md), at (ms queued), moved (ms of the last move since), attempts and submitted (messages that
--   may have left; neither is there before the first), token and lease (ms) of the attempt in hand,
--   retry (ms, not before), message (provider's id), reason,
--   from (our number it was first claimed for), fromK (of attempt K, where it is another),
--   aK (attempt K: ms from `at` to its claim; once recorded also provider, outcome, ms it took, reason, and our number
--   where it is another than `from`, parted by spaces)
--@include line.lua
--@include holding.lua
--@include events.lua

-- States of a send whose message never left.
local UNSENT = {
  queued = true, rejected = true, expired = true, canceled = true, superseded = true, suppressed = true,
}

local function send_field(send, name) return send .. ':' .. name end

local function get_send(key, send, ...)
  local fields = {}
  for i, name in ipairs({ ... }) do fields[i] = send_field(send, name) end
  return unpack(redis.call('HMGET', key, unpack(fields)))
end

-- Moves a send to a state, and tells nobody; `...` are further name, value pairs.
local function set_send(key, send, state, now, ...)
  local pairs_of = { ... }
  local fields = { send_field(send, 'state'), state, send_field(send, 'moved'), now }
  for i = 1, #pairs_of, 2 do
    fields[#fields + 1] = send_field(send, pairs_of[i])
    fields[#fields + 1] = pairs_of[i + 1]
  end
  redis.call('HSET', key, unpack(fields))
end

-- The same as news.
local function move_send(key, send, state, now, ...)
  set_send(key, send, state, now, ...)
  tell_send(key, send, state, now)
end

-- Attempt K as it was noted: began (ms after the send was queued), provider, outcome; nil for one not kept. One without
-- an outcome is in hand, or its worker was lost.
local function get_attempt(key, send, attempt)
  local noted = get_send(key, send, 'a' .. attempt)
  if not noted then return nil end
  local began, provider, outcome = string.match(noted, '^(%d+) (%S+) (%S+)')
  return tonumber(began or noted), provider, outcome
end

-- All attempts of a send go out from one number, unless that is one of ours no more. Answers whether it is another. Calls
-- have a line together, which names none.
local function note_from(key, send, attempt, from)
  if not from or redis.call('HSETNX', key, send_field(send, 'from'), from) == 1 then return false end
  if get_send(key, send, 'from') == from then return false end
  redis.call('HSET', key, send_field(send, 'from' .. attempt), from)
  return true
end

-- Notes that an attempt begins. The first attempt and the last ones are kept, and every one that may have left: a hash
-- of more than 128 fields would cost several times as much.
local ATTEMPTS_KEPT = 6
local function note_claim(key, send, attempt, began, from)
  redis.call('HSET', key, send_field(send, 'a' .. attempt), began)
  note_from(key, send, attempt, from)
  local old = attempt - ATTEMPTS_KEPT + 1
  if old <= 1 then return end
  local _, _, outcome = get_attempt(key, send, old)
  if outcome == 'busy' then redis.call('HDEL', key, send_field(send, 'a' .. old), send_field(send, 'from' .. old)) end
end

-- Agenda and id of a verification, whose keys begin alike (keys.ts).
local function agenda_of(key)
  local prefix, id = string.match(key, '^(.*)v:(%x+)$')
  return prefix .. 'agenda', id
end

-- Puts a verification on the agenda, which lives as long as anything on it can matter.
local function look_again_at(agenda, id, time, now)
  redis.call('ZADD', agenda, time, id)
  redis.call('PEXPIRE', agenda, policy.code_ttl_ms + policy.retention_ms + policy.lease_ms)
end

-- Whether one more message may follow an attempt that nobody knows the end of.
local function may_follow(submitted)
  return policy.unknown == 'resend' and tonumber(submitted or 0) < policy.submissions_max
end

-- The lease of an attempt ran out: its message may have left. `deadline` is the last moment for one more, nil where none
-- may follow. That one waits for a receipt, and for the record of a worker that is alive and only could not reach Redis:
-- so the wait begins where the end of the lease is noticed, because no time passes here while Redis is away.
local function lose_worker(key, send, deadline, now)
  if not deadline then return move_send(key, send, 'unknown', now, 'reason', 'worker_lost') end
  local again_at = now + policy.receipt_wait_ms
  move_send(key, send, 'unknown', now, 'reason', 'worker_lost', 'retry', again_at)
  local line, segments = get_line(key)
  if line then join_line(line, key, send, segments, deadline) end
  local agenda, id = agenda_of(key)
  look_again_at(agenda, id, again_at + policy.sweep_after_ms, now)
end

-- Sends still waiting can no longer leave: they get `state`. Answers whether any message may have left before.
local function close_sends(key, sends, state, reason, now)
  local sent = false
  for send = 1, sends do
    local current = get_send(key, send, 'state')
    if current == 'queued' or current == 'unknown' then leave_line(key, send) end
    if current == 'queued' then
      move_send(key, send, state, now, 'reason', reason)
    elseif current == 'unknown' then
      redis.call('HDEL', key, send_field(send, 'retry'))
    end
    sent = sent or not UNSENT[current]
  end
  return sent
end

-- Whether what came of it counts. Of a silent caller one that was held back does as any other, who could else tell by
-- when a limit is reached that it was; but not what the gate held back, which would go on doing so for ever.
local function counts(key, sent)
  if sent then return true end
  local silent, held = unpack(redis.call('HMGET', key, 'silent', 'held'))
  return silent and held ~= 'test_number' and not SPEAKS_OF_NUMBER[held]
end

-- Counts, the moment it ends, what came of a verification.
local function count_conversion(key, approved, now)
  for gate in string.gmatch(redis.call('HGET', key, 'gates') or '', '%S+') do
    local window_ms = policy.conversion_window_ms
    local values = redis.call('HMGET', gate, 'matured', 'approved')
    local matured, typed = read_meter(values[1], window_ms, now), read_meter(values[2], window_ms, now)
    redis.call('HSET', gate, 'matured', add_to_meter(matured, 1), 'approved', add_to_meter(typed, approved and 1 or 0))
    redis.call('PEXPIRE', gate, policy.gate_ttl_ms)
  end
end

-- After a verification has ended only an attempt in a worker's hands keeps it on the agenda, until its lease is over.
local function rest_on_agenda(key, agenda, id, sends, now)
  for send = 1, sends do
    if get_send(key, send, 'state') == 'submitting' then
      return look_again_at(agenda, id, now + policy.lease_ms + policy.sweep_after_ms, now)
    end
  end
  redis.call('ZREM', agenda, id)
end

-- Ends a pending verification. All that is sealed goes with it. `wrong`: as tell_verification.
local function end_verification(key, agenda, id, status, send_state, now, wrong)
  local sends = tonumber(redis.call('HGET', key, 'sends'))
  redis.call('HSET', key, 'status', status, 'ended', now)
  redis.call('HDEL', key, 'sealed', 'context', 'context_tag')
  if counts(key, close_sends(key, sends, send_state, status, now)) then
    count_conversion(key, status == 'approved', now)
  end
  rest_on_agenda(key, agenda, id, sends, now)
  tell_verification(key, status, now, send_state, wrong)
end

-- Ends a pending verification whose time is over, whoever notices first. Answers the status that holds now.
local function status_at(key, agenda, id, now)
  local status, expires = unpack(redis.call('HMGET', key, 'status', 'expires'))
  if status == 'pending' and tonumber(expires) <= now then
    end_verification(key, agenda, id, 'expired', 'expired', now)
    return 'expired'
  end
  return status
end

-- Adds send number `send` (queued) and says when the next may follow: 0 when none is left.
local function add_send(key, agenda, id, send, now)
  local wait_ms = policy.resend_waits_ms[send]
  local next_send = wait_ms and now + wait_ms or 0
  redis.call('HSET', key, 'sends', send, 'next_send', next_send,
    send_field(send, 'state'), 'queued', send_field(send, 'at'), now)
  tell_send(key, send, 'queued', now)
  look_again_at(agenda, id, now + policy.sweep_after_ms, now)
  return next_send
end
