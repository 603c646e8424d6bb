# A Spring-like jar, taken apart so that its dependencies are a layer of their own.
FROM eclipse-temurin:21-jdk AS builder
WORKDIR /build
COPY mvnw pom.xml ./
COPY .mvn/ .mvn/
RUN ./mvnw dependency:go-offline
COPY src src
RUN ./mvnw package -DskipTests && \
    java -Djarmode=layertools -jar target/app.jar extract --destination /layers

FROM eclipse-temurin:21-jre
VOLUME /tmp
ARG UID=1000
RUN groupadd -g ${UID} spring && useradd -u ${UID} -g spring spring
USER spring:spring
WORKDIR /application
COPY --from=builder /layers/dependencies/ ./
COPY --from=builder /layers/application/ ./
ENV JAVA_OPTS=""
STOPSIGNAL SIGTERM
ENTRYPOINT ["sh", "-c", "exec java $JAVA_OPTS org.example.Launcher"]
