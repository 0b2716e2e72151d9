const base: string = import.meta.env.VITE_API ?? 'http://gateway:8000' // é
export const items = () => fetch(`/api/items?x=${1}`).then((r) => r.json())
export const save = (x: unknown) =>
  fetch('/api/items', { method: 'PUT', headers: { Authorization: `Bearer ${x}` } })
