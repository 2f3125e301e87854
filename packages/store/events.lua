-- Events: what the outside is told of. The script that makes a change writes its event in the same step, into the
-- outbox: a stream of bounded length and life. Where nobody is to be told, policy.events is absent, and nothing is
-- asked of Redis. What an entry becomes stands in packages/verification/event.ts.
--
-- An entry: type, at (ms), then names and values
local events = policy.events

local function add_event(type, now, ...)
  redis.call('XADD', events.outbox, 'MAXLEN', '~', events.outbox_max, '*', 'type', type, 'at', now, ...)
  redis.call('PEXPIRE', events.outbox, events.life_ms)
end

-- `{P}:A:v:ID` -> A, ID
local function owner_of(key) return string.match(key, '}:([^:]+):v:(.+)$') end

-- The verification has moved; `cause` is what becomes of its sends, `wrong` how many wrong codes came before an approval.
local function tell_verification(key, status, now, cause, wrong)
  if not events or not events.wanted['verification.' .. status] then return end
  local application, id = owner_of(key)
  local f = redis.call('HMGET', key, 'purpose', 'channel', 'to_masked', 'created', 'expires', 'sends')
  add_event('verification.' .. status, now, 'application', application, 'verification', id,
    'purpose', f[1], 'channel', f[2], 'to', f[3], 'created', f[4], 'expires', f[5], 'sends', f[6],
    'reason', cause == 'superseded' and cause or '', 'wrong', wrong or '')
end

-- The number of the verification is disabled, after so many wrong codes in a row.
local function tell_disabled(key, wrong, now)
  if not events or not events.wanted['number.disabled'] then return end
  local application, id = owner_of(key)
  local f = redis.call('HMGET', key, 'purpose', 'channel', 'to_masked')
  add_event('number.disabled', now, 'application', application, 'verification', id,
    'purpose', f[1], 'channel', f[2], 'to', f[3], 'wrong', wrong)
end

-- Send number `send` has moved to `state`, and stands so in the hash.
local function tell_send(key, send, state, now)
  if not events or not events.wanted['send.' .. state] then return end
  local application, id = owner_of(key)
  local f = redis.call('HMGET', key, 'purpose', 'channel', 'to_masked',
    send .. ':at', send .. ':attempts', send .. ':submitted', send .. ':reason', send .. ':message')
  add_event('send.' .. state, now, 'application', application, 'verification', id,
    'purpose', f[1], 'channel', f[2], 'to', f[3], 'send', send, 'queued', f[4],
    'attempts', f[5] or 0, 'submitted', f[6] or 0, 'reason', f[7] or '', 'message', f[8] or '')
end

-- A limit that many share. A crowd of refusals is told once.
local function tell_limit(rule, scope, scope_key, state)
  if not events or not events.wanted['limit.reached'] or scope.personal then return end
  local name = string.match(scope_key, '^.*}:@%a:(.+)$')
  local told = table.concat({ events.told, rule.name, state, name }, ':')
  if not redis.call('SET', told, '1', 'NX', 'PX', events.limit_quiet_ms) then return end
  add_event('limit.reached', now_ms(), 'limit', rule.name, 'state', state, 'scope', scope.name, 'name', name)
end

-- An alarm is told once what raised it has been counted: kept until then with what is to be written.
local function keep_alarm(write, rule, answer)
  if not events or not answer.alarm then return end
  write.alarms = write.alarms or {}
  write.alarms[#write.alarms + 1] = rule
end

local function tell_alarms(write, scope)
  for _, rule in ipairs(write.alarms or {}) do tell_limit(rule, scope, write[2], 'nearly') end
end
