# One image for every program: the command says which. No build step: Node runs the TypeScript as it stands.
FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=peer

FROM node:24-slim
ENV NODE_ENV=production HOST=0.0.0.0 WORKER_HOST=0.0.0.0 METRICS_HOST=0.0.0.0 SANDBOX_HOST=0.0.0.0
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json tsconfig.json ./
COPY packages ./packages
COPY apps/admin ./apps/admin
COPY apps/api ./apps/api
COPY apps/worker ./apps/worker
COPY apps/sandbox ./apps/sandbox
USER node
EXPOSE 3000 3001 3002
CMD ["node", "apps/api/main.ts"]
