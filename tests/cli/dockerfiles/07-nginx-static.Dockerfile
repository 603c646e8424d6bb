# Static files behind nginx, with a configuration that is written in place.
FROM nginx:1.27-alpine
COPY <<EOF /etc/nginx/conf.d/default.conf
server {
	listen 8080;
	root /usr/share/nginx/html;
	location / { try_files \$uri /index.html; }
}
EOF
COPY --chmod=0644 *.html /usr/share/nginx/html/
COPY static /usr/share/nginx/html/static
EXPOSE 8080
HEALTHCHECK CMD wget -qO- http://localhost:8080/ || exit 1
