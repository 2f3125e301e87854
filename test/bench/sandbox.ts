/** The sandbox, with its news at another pace: so late that none comes while something is measured, for one. */
import { createSandbox } from '#sandbox/sandbox.ts'

const sandbox = createSandbox({ pace: Number(process.env.PACE) })
await sandbox.listen(Number(process.env.PORT))
process.once('SIGTERM', () => sandbox.close())
