-- The second message of a send, after a first that nobody knows the end of. Both may stand on the bill, so it is asked and
-- counted like a send of its own in all that is shared. Nobody asked for it: what counts who asks, and the limits of the
-- number, know it not.
--
-- policy.gate: the rules, by scope: region, form, application, overall; policy.meters: where their meters are

-- The first of its gates is the region's.
local function meters_of(key, gates)
  local application = owner_of(key)
  local meters = policy.meters
  local form = application == meters.form_application and meters.form or '@-'
  return { string.match(gates, '^%S+'), form, meters.application .. application, meters.overall }
end

-- One that was claimed before and is known not to have left was counted then.
local function is_counted(s)
  local _, _, outcome = get_attempt(s.key, s.send, s.attempts)
  return outcome == 'busy'
end

-- What the gate says of one more message of this send; nil where there is nothing to ask: it is the first, or was
-- counted, or is of a version that knew no prices.
local function ask_second(s, now)
  if s.submitted == 0 or is_counted(s) then return nil end
  local gates, spend = unpack(redis.call('HMGET', s.key, 'gates', 'spend'))
  if not gates or not spend then return nil end
  return ask_gate(policy.gate, meters_of(s.key, gates), { spend = tonumber(spend) }, now)
end
