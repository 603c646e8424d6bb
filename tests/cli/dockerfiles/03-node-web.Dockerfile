# A web application: dependencies, build, and a runtime with production dependencies alone.
ARG NODE=20
FROM node:${NODE}-alpine AS deps
WORKDIR /app
COPY package.json package-lock.json* ./
RUN npm ci

FROM deps AS build
ENV NEXT_TELEMETRY_DISABLED 1
COPY . .
RUN npm run build && npm prune --omit=dev

FROM node:${NODE}-alpine
ENV NODE_ENV=production PORT=3000
WORKDIR /app
RUN addgroup -g 1001 -S nodejs && adduser -S -u 1001 -G nodejs next
COPY --from=build --chown=next:nodejs /app/dist ./dist
COPY --from=build --chown=next:nodejs /app/node_modules/ ./node_modules/
COPY --chown=1001:1001 package.json .
USER next
EXPOSE ${PORT}
CMD ["node", "dist/server.js"]
