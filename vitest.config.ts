import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/fixtures/global-setup.ts'],
    testTimeout: 15_000,
    hookTimeout: 30_000,
    // Tests of processes wait most of the time, so two files at a time fit two cores.
    maxWorkers: 2,
  },
})
