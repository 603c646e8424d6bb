# PHP with extensions, and composer's program out of its own image.
FROM php:8.3-fpm-alpine
ARG APCU=5.1.23
RUN apk add --no-cache icu-dev libzip-dev $PHPIZE_DEPS \
	&& docker-php-ext-install -j$(nproc) intl zip \
	&& pecl install apcu-${APCU} \
	&& docker-php-ext-enable apcu
COPY --from=composer:2 /usr/bin/composer /usr/bin/composer
WORKDIR /srv/app
COPY composer.json composer.lock ./
RUN composer install --no-dev --no-scripts --prefer-dist
COPY --exclude=tests --exclude=*.md . .
RUN chown -R www-data var
EXPOSE 9000/tcp
