# Paints without a network, and serves the page, as an ordinary user.
#
#     docker build -t tf_style .
#     docker run --rm -v "$PWD:/pictures" --user "$(id -u):$(id -g)" tf_style \
#         photo.jpg painting.jpg out.png
#     docker run --rm --network=host --entrypoint=python tf_style -m tf_style.app --no_browser
#
# The page listens on 127.0.0.1 alone, so that nobody else on the network can use it.
FROM python:3.12-slim

RUN useradd --create-home painter
COPY . /source
RUN pip install --no-cache-dir '/source[app,heif,video]' && rm -r /source

# Any user may be given by --user, so all may write to the cache.
ENV HOME=/home/painter TF_STYLE_CACHE=/tmp/tf_style MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONUNBUFFERED=1
USER painter
WORKDIR /pictures
ENTRYPOINT ["tf-style"]
CMD ["--help"]
