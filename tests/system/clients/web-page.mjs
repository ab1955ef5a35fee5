// A web page that asks Atelier from a browser, at the ports given: node web-page.mjs PORT... It shows what its script saw.
import http from 'node:http'

const page = `<!doctype html><meta charset="utf-8"><pre id="seen"></pre><script>
const ask = async (method, path, body) => {
    const headers = { Authorization: 'Bearer ' + new URL(location).searchParams.get('key') }
    if (body) headers['Content-Type'] = 'application/json'
    try {
        const answer = await fetch('http://127.0.0.1:8080' + path, { method, headers, body: body && JSON.stringify(body) })
        return answer.status + (answer.headers.get('x-request-id') ? ' with its id' : '')
    } catch (error) {
        return error.name
    }
}
const all = async () => {
    const seen = [
        await ask('GET', '/v1/models'),
        await ask('POST', '/v1/images/generations', { model: 'sandbox', prompt: 'from ' + location.origin, size: '64x64' }),
        await ask('DELETE', '/v1/jobs/job_00000000000000000000000000000000'),
    ]
    document.getElementById('seen').textContent = seen.join(', ')
}
all()
</script>`

for (const port of process.argv.slice(2))
    http.createServer((request, answer) => {
        answer.setHeader('Content-Type', 'text/html')
        answer.end(page)
    }).listen(Number(port), '127.0.0.1')
