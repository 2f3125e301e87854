-- The rules about guessing (policy.guess, packages/verification/gate.ts): asked before a code is compared, counted only
-- when it was wrong. The meters lie beside those of the gate. A limit of many is told of (events.lua) when four fifths
-- of it are used, and when it refuses.

-- Answers what to count should the code be wrong, the names of the rules that only observe, and the refusal if there is
-- one.
local function ask_guesses(scope_keys, now)
  local guess = { meters = {}, explain = {} }
  for i, scope in ipairs(policy.guess) do
    local key = scope_keys[i]
    -- A scope that has no rules, or that this check has nothing to say for, such as an address nobody gave.
    if #scope.rules > 0 and string.sub(key, -2) ~= '@-' then
      local values = redis.call('HMGET', key, unpack(scope.fields))
      for _, rule in ipairs(scope.rules) do
        local meter = read_meter(values[rule.at], rule.window_ms, now)
        if meter.total >= rule.max and rule.mode == 'block' then
          local wait_ms = math.ceil(meter_free_at(meter, 1, rule.max) - now)
          tell_limit(rule, scope, key, 'reached')
          guess.refusal = { 'refused', rule.refusal, wait_ms, rule.name }
          return guess
        end
        if meter.total >= rule.max then guess.explain[#guess.explain + 1] = rule.name .. '=observe' end
        guess.meters[#guess.meters + 1] = { key, scope, rule, meter }
      end
    end
  end
  return guess
end

local function count_meter(key, scope, rule, meter)
  redis.call('HSET', key, scope.fields[rule.at], add_to_meter(meter, 1))
  if meter.moved then redis.call('PEXPIRE', key, scope.ttl_ms) end
end

-- Counts a code that had nothing to be compared with: it endangers nobody, so it takes nothing from a limit of many.
local function count_guess_of_asker(guess)
  for _, entry in ipairs(guess.meters) do
    if entry[2].asker then count_meter(unpack(entry)) end
  end
end

-- Counts a wrong code; a limit of many people is worth an alarm the moment four fifths of it are reached.
local function count_guess(guess)
  for _, entry in ipairs(guess.meters) do
    local key, scope, rule, meter = unpack(entry)
    count_meter(unpack(entry))
    if rule.alarm and meter.total + 1 == rule.alarm then
      tell_limit(rule, scope, key, 'nearly')
      guess.explain[#guess.explain + 1] = rule.name .. '=alarm'
    end
  end
end

local function explain_guess(guess) return table.concat(guess.explain, ' ') end
