"""A server for a tuned model: HTTP in front, a thread that owns each model behind.

    access        who may ask: address, token, host and origin
    gate          the door: every request passes it, counted, limited, refused while draining
    app           the paths, and what they answer
    batcher       the queue, and the threads that answer many requests together
    batch_choice  which of those that wait are answered next, and which together
    openai_form   chat and completions as OpenAI's clients ask and read them
    run           the socket, the signals, the line that tries it

`app`, `measures` and `run` import FastAPI, uvicorn and prometheus-client, which the extra `serve`
brings; whoever wants one of them calls `require_serving` first.
"""
