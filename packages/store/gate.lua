-- The gate before a send: asks every rule, counts nothing until all have been asked. What a rule is stands in
-- packages/verification/gate.ts; policy.gate holds them by scope, with the fields their meters are kept in.
--
-- facts: spend (millionths of the currency), number and region (as `numbers` and `regions` count them), range (which of
-- the ten of its prefix the number lies in), trusted (on the allow list: only budgets of money and of the whole count),
-- challenged (a challenge was passed)

-- A scope this start has nothing to say for, such as an address nobody gave.
local function is_absent(key) return string.sub(key, -2) == '@-' end

local function conversion(rule, values, now)
  local matured = read_meter(values[rule.at], rule.window_ms, now).total
  local approved = read_meter(values[rule.at + 1], rule.window_ms, now).total
  return {
    tripped = matured >= rule.minimum and approved * 100 < rule.below_percent * matured,
    free_at = now + rule.window_ms / METER_BUCKETS,
  }
end

local function amount_of(rule, facts) return rule.counts == 'spend' and facts.spend or 1 end

local function amount(rule, values, facts, now)
  local meter, more = read_meter(values[rule.at], rule.window_ms, now), amount_of(rule, facts)
  local total = meter.total + more
  local tripped = total > rule.max
  return {
    tripped = tripped,
    -- What is more than the whole budget never has room.
    free_at = tripped and more <= rule.max and meter_free_at(meter, more, rule.max),
    alarm = rule.alarm and meter.total < rule.alarm and total >= rule.alarm,
    moved = meter.moved,
    value = add_to_meter(meter, more),
  }
end

local function different(rule, values, member, now)
  local distinct = read_distinct(values[rule.at], member, rule.window_ms, now)
  return {
    tripped = not distinct.known and #distinct.kept >= rule.max,
    free_at = distinct.free_at,
    moved = true,
    value = add_to_distinct(distinct, member, rule.max, now),
  }
end

-- The meters of a prefix's ranges lie in its own hash, each range with fields of its own.
local function fields_of(scope, facts)
  if scope.name ~= 'range' then return scope.fields end
  local fields = {}
  for i, field in ipairs(scope.fields) do fields[i] = field .. '.' .. facts.range end
  return fields
end

local function ask_rule(rule, values, facts, now)
  if rule.counts == 'conversion' then return conversion(rule, values, now) end
  if rule.counts == 'numbers' then return different(rule, values, facts.number, now) end
  if rule.counts == 'regions' then return different(rule, values, facts.region, now) end
  return amount(rule, values, facts, now)
end

-- Of two refusals the one that holds longer; one that no wait ends holds longest.
local function longer_of(one, other)
  if one and (one[3] < 0 or (other[3] >= 0 and other[3] <= one[3])) then return one end
  return other
end

local function block(passage, scope, rule, answer, now)
  local wait_ms = answer.free_at and math.ceil(answer.free_at - now) or -1
  local refusal = { 'refused', rule.refusal, wait_ms, rule.name }
  passage.blocked = longer_of(passage.blocked, refusal)
  if scope.name == 'form' or not SPEAKS_OF_NUMBER[rule.refusal] then passage.open = longer_of(passage.open, refusal) end
end

-- Asks all rules of all scopes. Answers what to write once the send is certain, what to explain, and what speaks
-- against it, if anything does: `blocked`, the block that holds longest; `open`, that of those which say nothing about
-- the number; `challenge`.
local function ask_gate(scopes, scope_keys, facts, now)
  local passage = { writes = {}, explain = {} }
  for i, scope in ipairs(scopes) do
    local key = scope_keys[i]
    local skipped = #scope.rules == 0 or is_absent(key) or (facts.trusted and scope.personal)
    if not skipped then
      local fields = fields_of(scope, facts)
      local values = redis.call('HMGET', key, unpack(fields))
      local write = { 'HSET', key }
      for _, rule in ipairs(scope.rules) do
        local answer = ask_rule(rule, values, facts, now)
        keep_alarm(write, rule, answer)
        local asked = not (facts.trusted and rule.counts == 'conversion')
        if answer.tripped and asked then
          passage.explain[#passage.explain + 1] = rule.name .. '=' .. rule.mode
          if rule.mode == 'block' then
            tell_limit(rule, scope, key, 'reached')
            block(passage, scope, rule, answer, now)
          elseif rule.mode == 'challenge' and not facts.challenged and not passage.challenge then
            passage.challenge = { 'refused', 'challenge_required', -1, rule.name }
          end
        end
        if answer.alarm then passage.explain[#passage.explain + 1] = rule.name .. '=alarm' end
        if answer.value then
          write[#write + 1] = fields[rule.at]
          write[#write + 1] = answer.value
          write.moved = write.moved or answer.moved
        end
      end
      if #write > 2 then passage.writes[#passage.writes + 1] = { write, scope, fields } end
    end
  end
  return passage
end

-- The refusal that is told, or nil; and why the message is held back instead, or nil. A silent caller is asked for a
-- challenge though the message will be held back: it could else tell by there being none.
local function refusal_of(passage, silent)
  if not silent then return passage.blocked or passage.challenge end
  return passage.open or passage.challenge, passage.blocked and passage.blocked[2]
end

-- Of what a scope would count, that by which others are asked for a challenge. Money that is not spent is no part.
local function challenging_part(write, scope, fields)
  local part = { 'HSET', write[2], moved = write.moved }
  for _, rule in ipairs(scope.rules) do
    for i = 3, #write, 2 do
      if rule.mode == 'challenge' and rule.counts ~= 'spend' and write[i] == fields[rule.at] then
        part[#part + 1], part[#part + 2] = write[i], write[i + 1]
      end
    end
  end
  return part
end

-- Counts what ask_gate let pass. A message that is held back costs nothing and takes nothing from what all share. Only
-- those of a silent caller are, and in the meters of its own application they count as any other: it could else tell by
-- when a limit is reached that this one is held back. What the gate holds back it does whatever the number: that counts
-- for who asked, and where a challenge follows, and keeps no block going.
local function count_passage(passage, held)
  for _, entry in ipairs(passage.writes) do
    local write, scope, fields = unpack(entry)
    local apart = held and not scope.asker and (scope.name == 'overall' or SPEAKS_OF_NUMBER[held])
    if apart then write = challenging_part(write, scope, fields) end
    if #write > 2 then
      redis.call(unpack(write))
      tell_alarms(write, scope)
      if write.moved then redis.call('PEXPIRE', write[2], scope.ttl_ms) end
    end
  end
end

local function explain_passage(passage) return table.concat(passage.explain, ' ') end
