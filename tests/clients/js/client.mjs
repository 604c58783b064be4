// The official JavaScript client, used as its users use it: `node client.mjs URL QUESTION` prints what it got, as JSON.
// QUESTION makes the model call get_weather.
import { Ollama } from 'ollama'

const [, , host, weather] = process.argv
const client = new Ollama({ host })
const model = 'tinychat'
const options = { temperature: 0 }
const count = [{ role: 'user', content: 'Count to 5.' }]
const tool = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Get the current weather of a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
}
const schema = { type: 'object', properties: { country: { type: 'string' } }, required: ['country'] }

async function gather(stream) {
  const parts = []
  for await (const part of stream) parts.push(part)
  return parts
}

async function failure(attempt) {
  try {
    await attempt()
  } catch (error) {
    return { name: error.name, message: error.message, status: error.status_code }
  }
  return null
}

const got = {}
got.chat = await client.chat({ model, messages: count, think: false, options })
got.streamed = await gather(await client.chat({ model, messages: count, think: false, options, stream: true }))
got.thinking = await client.chat({ model, messages: count, think: true, options })
got.generate = await client.generate({ model, prompt: 'Count to 5.', think: false, options })
got.tools = await gather(
  await client.chat({
    model,
    messages: [{ role: 'user', content: weather }],
    tools: [tool],
    think: false,
    options,
    stream: true,
  }),
)
got.structured = await client.chat({
  model,
  messages: [{ role: 'user', content: 'Describe France as JSON.' }],
  format: schema,
  think: false,
  options,
})
got.embed = await client.embed({ model: 'minilm', input: ['one', 'two'] })
got.list = await client.list()
got.show = await client.show({ model })
got.ps = await client.ps()
got.unknown = await failure(() => client.chat({ model: 'nobody', messages: count }))
got.picture = await failure(() =>
  client.chat({ model, messages: [{ role: 'user', content: 'What is this?', images: [new Uint8Array([1, 2, 3])] }] }),
)
const long = await client.generate({ model, prompt: 'Count to 100000.', think: false, options, stream: true })
got.aborted = await failure(async () => {
  for await (const part of long) if (!part.done) long.abort()
})

console.log(JSON.stringify(got))
