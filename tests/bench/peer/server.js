// The bare peer: http and `ws`, one process; no accounts, no rooms, nothing kept. It asks the model server
// for each question and sends each piece as one frame. Usage: node server.js PORT MODEL-URL
import http from 'node:http'
import { WebSocketServer } from 'ws'

const [port, modelUrl] = process.argv.slice(2)
const model = new URL(`${modelUrl}/chat/completions`)
const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 1024, noDelay: true })

const server = http.createServer((request, response) => {
  response.writeHead(request.url === '/readyz' ? 200 : 404, { 'Content-Length': 0 })
  response.end()
})
const sockets = new WebSocketServer({
  server,
  perMessageDeflate: false,
  skipUTF8Validation: true,
  handleProtocols: (offered) => offered.values().next().value
})

sockets.on('connection', (socket) => {
  socket.on('message', (bytes) => take(socket, JSON.parse(bytes)))
  socket.on('error', () => {})
})

function take(socket, frame) {
  switch (frame.type) {
    case 'hello':
      return socket.send('{"type":"welcome"}')
    case 'open':
      return socket.send('{"type":"opened","head":0}')
    case 'ping':
      return socket.send(`{"type":"pong","t":${frame.t}}`)
    case 'send':
      return ask(socket, frame.text)
  }
}

function ask(socket, text) {
  const body = JSON.stringify({ model: 'fake-model', stream: true, messages: [{ role: 'user', content: text }] })
  const fail = () => socket.close(1011)
  const request = http.request(
    model,
    { method: 'POST', agent, headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) } },
    (reply) => {
      if (reply.statusCode !== 200) return fail()
      let n = 0
      reply.setEncoding('utf8')
      reply.on('data', eventReader((data) => {
        const piece = data === '[DONE]' ? undefined : JSON.parse(data).choices[0]?.delta?.content
        if (piece) socket.send(JSON.stringify({ type: 'delta', n: ++n, text: piece }))
      }))
      reply.on('end', () => socket.send('{"type":"end"}'))
      reply.on('error', fail)
    })
  request.on('error', fail)
  request.end(body)
}

// Calls `each` with the data of each whole event.
function eventReader(each) {
  let rest = ''
  return (chunk) => {
    rest += chunk
    let from = 0
    for (let end; (end = rest.indexOf('\n\n', from)) >= 0; from = end + 2) {
      if (rest.startsWith('data: ', from)) each(rest.slice(from + 6, end))
    }
    rest = rest.slice(from)
  }
}

server.listen(Number(port), '127.0.0.1', 4096)
process.on('SIGTERM', () => process.exit(0))
