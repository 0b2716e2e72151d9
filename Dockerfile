# An image of the doctor, to examine what is mounted at /platform:
#   docker build -t saas-doctor .
#   docker run --rm -v "$PWD:/platform:ro" --user "$(id -u)" saas-doctor
ARG PYTHON=python:3.12-slim

FROM ${PYTHON} AS build
COPY pyproject.toml README.md /source/
COPY saas_doctor /source/saas_doctor
COPY checks /source/checks
COPY fixes /source/fixes
RUN python -m venv /opt/saas-doctor \
    && /opt/saas-doctor/bin/pip install --no-cache-dir --quiet /source \
    && rm -r /opt/saas-doctor/lib/python3*/site-packages/pip /opt/saas-doctor/bin/pip*

FROM ${PYTHON}
COPY --from=build /opt/saas-doctor /opt/saas-doctor
ENV PATH=/opt/saas-doctor/bin:$PATH
# It needs no rights but to read; whose files only their owner reads, names himself with --user.
USER 65534
WORKDIR /platform
ENTRYPOINT ["saas-doctor"]
CMD ["check", "--static"]
