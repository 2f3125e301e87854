-- A send as a claim sees it: may it leave, whatever else waits for its number?

-- All that a claim asks of a send. `no` is the reply when it cannot leave, `mine` is set when this token holds it
-- already, `second` what is to be counted when it is taken. What must end, ends here: a lost worker's attempt, what came
-- too late or to a number that said STOP, and a second message that a limit has no room for.
local function look_at(key, send, token, suppressions, now)
  if redis.call('EXISTS', key) == 0 then return { no = { 'closed', 'gone' } } end
  local agenda, id = agenda_of(key)
  local status = status_at(key, agenda, id, now)
  local state, lease, retry, submitted, attempts, held, at =
    get_send(key, send, 'state', 'lease', 'retry', 'submitted', 'attempts', 'token', 'at')
  if not state then return { no = { 'closed', 'gone' } } end

  local sends, expires, to_tag, channel, line, segments =
    unpack(redis.call('HMGET', key, 'sends', 'expires', 'to_tag', 'channel', 'line', 'segments'))
  local s = {
    key = key, agenda = agenda, id = id, send = send, at = at, attempts = tonumber(attempts or 0),
    submitted = tonumber(submitted or 0), to_tag = to_tag, channel = channel, line = line,
    segments = tonumber(segments or 1),
    deadline = tonumber(expires) - policy.send_reserve_ms,
  }
  local wanted = status == 'pending' and tonumber(send) == tonumber(sends)
  local opted_out = redis.call('EXISTS', suppressions .. to_tag) == 1

  local function no(...)
    s.no = { ... }
    return s
  end

  local function rests(...)
    look_again_at(agenda, id, expires, now)
    leave_line(key, send)
    return no('closed', ...)
  end

  local function ends(final, reason)
    if state == 'unknown' then return rests(state) end
    move_send(key, send, final, now, 'reason', reason)
    return rests(final, '', '', reason)
  end

  -- The answer to this very claim was lost: it is given again while it holds.
  s.mine = state == 'submitting' and held == token and tonumber(lease) > now and wanted and not opted_out
  if s.mine then return s end

  if state == 'submitting' then
    if tonumber(lease) > now then return no('wait', tonumber(lease) - now) end
    lose_worker(key, send, wanted and not opted_out and may_follow(submitted) and s.deadline, now)
    state, retry = get_send(key, send, 'state', 'retry')
  end
  if state ~= 'queued' and state ~= 'unknown' then return no('closed', state) end
  if not wanted then return no('closed', state) end
  if opted_out then return ends('suppressed', 'recipient_opted_out') end
  -- One that has come to rest as unknown has no time at which to try again.
  if state == 'unknown' and not (retry and may_follow(submitted)) then return no('closed', state) end
  if retry and tonumber(retry) > now then return no('wait', tonumber(retry) - now) end
  if s.deadline <= now then return ends('expired', 'not_sent_in_time') end
  s.second = ask_second(s, now)
  local blocked = s.second and s.second.blocked
  if not blocked then return s end
  set_send(key, send, state, now, 'reason', blocked[2])
  redis.call('HDEL', key, send_field(send, 'retry'))
  return rests(state, blocked[2], blocked[4])
end

-- ms since the first attempt began whose message may have left, and our number it went out from, '' where that is not
-- known; -1 when none may.
local function may_have_left(s, attempt, now)
  for earlier = 1, attempt - 1 do
    local began, _, outcome = get_attempt(s.key, s.send, earlier)
    if began and outcome ~= 'busy' then
      local first, other = get_send(s.key, s.send, 'from', 'from' .. earlier)
      return now - s.at - began, other or first or ''
    end
  end
  return -1, ''
end

-- Why the attempts right before this one were busy, all for the same reason, and how many of them; '' and 0 where the
-- last one came to anything else.
local function busy_before(s, attempt)
  local why, count = '', 0
  for earlier = attempt - 1, 1, -1 do
    local reason = string.match(get_send(s.key, s.send, 'a' .. earlier) or '', '^%d+ %S+ busy %d+ (%S+)')
    if not reason or (count > 0 and reason ~= why) then break end
    why, count = reason, count + 1
  end
  return why, count
end
