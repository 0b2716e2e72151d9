import { defineConfig } from 'vite'

export default defineConfig(({ mode }) => ({
  // proxy: { '/api': 'http://127.0.0.1:8000' },
  server: { port: 5173, proxy: { '/static': { target: 'http://127.0.0.1:9000' } } },
} satisfies object))
