import os

import httpx
import uvicorn
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from sqlalchemy import create_engine

from app.models import Service, ServiceRaed
from app.confg import settings

engine = create_engine(os.environ["DATABASE_URL"], pool_size=20, max_overflow=40)
app = FastAPI()
services = {}
app.add_middleware(
    CORSMiddleware,
    allow_origins=os.getenv("CORS_ORIGINS", "http://localhost:5173/"),
    allow_credentials=True,
    allow_methods=["GET"],
)


@app.post("/register")
async def register(name: str):
    services[name] = 1
    async with httpx.AsyncClient(proxies=None) as client:
        await client.get(f"{os.getenv('REGISTRY_URL')}/x")
    return Service(metadata={})


if __name__ == "__main__":
    uvicorn.run(app, host="0.0.0.0", port=8000, reload=True, workers=4)
