import { defineConfig } from 'vite'

export default defineConfig({
  server: {
    port: 5173,
    // Taken means an error, not the next port: CORS_ORIGINS names this one.
    strictPort: true,
    proxy: {
      // 127.0.0.1 and not localhost, which Node may take for ::1.
      '/api': { target: 'http://127.0.0.1:8000', changeOrigin: true },
    },
  },
})
