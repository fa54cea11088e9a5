FROM python:3.12-slim

# Fixed ids, so that volumes keep their owner from one image to the next.
RUN groupadd --gid 10001 ome && useradd --uid 10001 --gid ome --create-home ome
WORKDIR /app

# Dependencies first: they change less often than the code.
COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements.txt

COPY . ./
RUN pip install --no-cache-dir --no-deps --no-build-isolation . \
    && install -d -o ome -g ome /app/var

USER ome
# Inside a container only the published ports can be reached.
ENV HOST=0.0.0.0 PORT=8000 DATA_DIR=/app/var PYTHONUNBUFFERED=1
EXPOSE 8000
VOLUME /app/var
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health', timeout=2)"]
# Without DATABASE_URL it has a PostgreSQL of its own in the volume.
CMD ["ome", "run"]
