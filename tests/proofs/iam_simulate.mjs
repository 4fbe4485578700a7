// Judge a batch of requests with @cloud-copilot/iam-simulate: JSON in on stdin, JSON out on stdout.
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const require = createRequire(new URL('../node/package.json', import.meta.url))
const entry = require.resolve('@cloud-copilot/iam-simulate')
const { anonymousPrincipal, runSimulation } = require('@cloud-copilot/iam-simulate')

// An action that AWS has yet to invent is refused by the simulation's check of its input, so for it the
// engine behind that check is asked, with everything that the simulation would give it.
const inside = (file) => require(join(dirname(entry), file))
const { authorize } = inside('core_engine/CoreSimulatorEngine.js')
const { AwsRequestImpl } = inside('request/request.js')
const { RequestContextImpl } = inside('requestContext.js')
const { DiscoveryContextKeyConstraints } = inside('context_keys/discoveryContextKeyConstraints.js')
const { loadPolicy } = createRequire(entry)('@cloud-copilot/iam-policy')

function askTheEngine({ request, identityPolicies, resourcePolicy, vpcEndpointPolicies }) {
  const named = ({ name, policy }) => loadPolicy(policy, { name })
  return authorize({
    request: new AwsRequestImpl(
      request.principal,
      request.resource,
      request.action,
      new RequestContextImpl(request.contextVariables)
    ),
    identityPolicies: identityPolicies.map(named),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    resourcePolicy: resourcePolicy ? loadPolicy(resourcePolicy, { name: 'bucket' }) : undefined,
    vpcEndpointPolicies: vpcEndpointPolicies?.map(named),
    simulationParameters: {
      simulationMode: 'Strict',
      discoveryContextKeyConstraints: new DiscoveryContextKeyConstraints([])
    },
    serviceSettings: { s3: {} }
  })
}

function verdict(analysis, ignored) {
  return {
    answer: analysis.result,
    sids: (analysis.resourceAnalysis?.denyStatements ?? []).map(({ statement }) => statement.sid()),
    blockedBy: analysis.blockedBy ?? [],
    ignored
  }
}

const chunks = []
for await (const chunk of process.stdin) chunks.push(chunk)

const answers = []
for (const { simulation, unknownAction } of JSON.parse(Buffer.concat(chunks).toString())) {
  if (simulation.request.principal === null) simulation.request.principal = anonymousPrincipal
  if (unknownAction) {
    answers.push(verdict(askTheEngine(simulation), []))
    continue
  }
  const outcome = await runSimulation(simulation, { simulationMode: 'Strict' })
  answers.push(
    outcome.resultType === 'single'
      ? verdict(outcome.result.analysis, outcome.result.ignoredContextKeys)
      : { error: outcome.resultType, errors: outcome.errors }
  )
}
process.stdout.write(JSON.stringify(answers))
