// The login example: the binary that LOGIN_BIN names, or else the one that cargo builds.
import { execFileSync } from 'node:child_process'

export const binary = process.env.LOGIN_BIN ?? build()

function build() {
  const args = ['build', '--package', 'login', '--message-format', 'json-render-diagnostics']
  const messages = execFileSync('cargo', args, {
    cwd: import.meta.dirname,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 28,
  })
  const artifacts = messages.split('\n').filter(Boolean).map(line => JSON.parse(line))
  return artifacts.find(({ executable, target }) => executable && target.name === 'login').executable
}
