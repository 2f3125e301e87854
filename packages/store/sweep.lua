-- Looks at the verifications whose time on the agenda has come: names the sends that must be brought to the queue,
-- ends what nobody ended, and says when to look again. A send that waits past its last moment is ended here too: nobody
-- claims while no worker can send.
--
-- KEYS[1] agenda       sorted set
-- ARGV    prefix of verification keys, how many to look at
--
-- Replies {how many were looked at, how many sends ended unsent, id, send, id, send, ...}
--
-- Each verification is moved on the agenda in the same step, so two sweepers never bring the same send at once. To
-- bring a send that is already queued is harmless: the claim decides.
--@include clock.lua
--@include meters.lua
--@include ledger.lua

local agenda = KEYS[1]
local prefix, count = unpack(ARGV)
local now = now_ms()

local unsent = 0

-- True when somebody must still do something about the send. A lost worker's attempt ends here. `deadline` is the last
-- moment for one more message of it, nil where none is wanted.
local function is_open(key, send, deadline)
  local state, lease, submitted = get_send(key, send, 'state', 'lease', 'submitted')
  local more = deadline and may_follow(submitted)
  if state == 'submitting' and tonumber(lease) <= now then
    lose_worker(key, send, more and deadline, now)
    return more
  end
  if deadline and deadline <= now and (state == 'queued' or state == 'unknown') then
    leave_line(key, send)
    if state == 'queued' then
      move_send(key, send, 'expired', now, 'reason', 'not_sent_in_time')
      unsent = unsent + 1
    end
    return false
  end
  return state == 'queued' or state == 'submitting' or (state == 'unknown' and more)
end

local due = redis.call('ZRANGE', agenda, '-inf', now, 'BYSCORE', 'LIMIT', 0, count)
local reply = { #due, 0 }
for _, id in ipairs(due) do
  local key = prefix .. id
  local status = status_at(key, agenda, id, now)
  if not status then
    redis.call('ZREM', agenda, id)
  else
    local pending, open = status == 'pending', false
    local sends, expires = unpack(redis.call('HMGET', key, 'sends', 'expires'))
    sends = tonumber(sends)
    local deadline = pending and tonumber(expires) - policy.send_reserve_ms
    for send = 1, sends do
      if is_open(key, send, send == sends and deadline) then
        open = true
        if pending then
          reply[#reply + 1] = id
          reply[#reply + 1] = send
        end
      end
    end
    if open then
      local again = now + 3 * policy.sweep_after_ms
      local last = deadline and deadline > now and deadline or again
      look_again_at(agenda, id, math.min(again, last), now)
    elseif pending then
      look_again_at(agenda, id, expires, now)
    else
      redis.call('ZREM', agenda, id)
    end
  end
end
reply[2] = unsent
return reply
