const list = document.querySelector('#items')

try {
  const answer = await fetch('/api/demo-service/items')
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
  for (const item of await answer.json()) {
    list.append(Object.assign(document.createElement('li'), { textContent: item.name }))
  }
} catch (error) {
  list.textContent = `The back end does not answer: ${error.message}`
}
