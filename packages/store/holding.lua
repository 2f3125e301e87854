-- Refusals of the gate that say something about the number, and not about who asks. From a silent caller the message is
-- held back instead.
local SPEAKS_OF_NUMBER = { suspected_fraud = true, traffic_limit = true }
