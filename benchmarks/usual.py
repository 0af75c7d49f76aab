"""The server ``usual``: the same service as most would write it today, with the libraries most would take.

FastAPI and pydantic check the form, SQLAlchemy finds the API key and the feed in the database and stores the record,
each request commits by itself, and the commit is as durable as the product's: WAL with ``synchronous=FULL``.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Form, Header, HTTPException
from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal
from sqlalchemy import ForeignKey, event, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Name = Annotated[str, Field(min_length=1, max_length=1024)]


class Base(DeclarativeBase):
    """What the tables share."""


class Feed(Base):
    """A feed that takes deployments."""

    __tablename__ = "feeds"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class ApiKey(Base):
    """An API key, found by the hash of its text."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)


class Deployment(Base):
    """A recorded deployment."""

    __tablename__ = "deployments"

    id: Mapped[int] = mapped_column(primary_key=True)
    feed_id: Mapped[int] = mapped_column(ForeignKey("feeds.id"))
    application: Mapped[str]
    description: Mapped[str]
    target: Mapped[str]
    package_name: Mapped[str]
    version: Mapped[str]
    group_name: Mapped[str | None]
    user_name: Mapped[str]
    url: Mapped[str | None]
    date: Mapped[datetime]
    recorded_at: Mapped[datetime]
    recorded_by: Mapped[str]


class Submission(BaseModel):
    """The form that a client sends."""

    model_config = ConfigDict(alias_generator=to_pascal, str_strip_whitespace=True)

    feed_name: Name
    application: Name
    description: Annotated[str, Field(min_length=1, max_length=16_384)]
    target: Name
    package_name: Name
    version: Name
    group_name: Name | None = None
    user_name: Name | None = None
    url: AnyHttpUrl | None = None
    date: datetime | None = None


class Record(BaseModel):
    """The answer."""

    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True, from_attributes=True)

    id: int
    application: str
    description: str
    target: str
    package_name: str
    version: str
    group_name: str | None
    user_name: str
    url: str | None
    date: datetime
    recorded_at: datetime
    recorded_by: str


engine = create_async_engine(f"sqlite+aiosqlite:///{os.environ['USUAL_DATABASE']}", connect_args={"timeout": 30})
sessions = async_sessionmaker(engine, expire_on_commit=False)


@event.listens_for(engine.sync_engine, "connect")
def _durable(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Make the database with the feed and key of the sample request."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with sessions() as session:
        session.add(Feed(name="DefaultNuGet"))
        session.add(ApiKey(name="ci", digest=hashlib.sha256(b"abc12345").hexdigest()))
        await session.commit()
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


async def session() -> AsyncIterator[AsyncSession]:
    """Give a request its session."""
    async with sessions() as opened:
        yield opened


Session = Annotated[AsyncSession, Depends(session)]


async def api_key(session: Session, x_api_key: Annotated[str, Header(alias="X-ApiKey")]) -> ApiKey:
    """Return the key that the request carries."""
    digest = hashlib.sha256(x_api_key.encode()).hexdigest()
    key = await session.scalar(select(ApiKey).where(ApiKey.digest == digest))
    if key is None:
        raise HTTPException(401, "The API key is not valid.")
    return key


@app.post("/api/package-deployment/")
async def record_deployment(
    submission: Annotated[Submission, Form()], key: Annotated[ApiKey, Depends(api_key)], session: Session
) -> Record:
    """Record a deployment."""
    feed = await session.scalar(select(Feed).where(Feed.name == submission.feed_name))
    if feed is None:
        raise HTTPException(404, "There is no such feed.")
    now = datetime.now(UTC)
    deployment = Deployment(
        feed_id=feed.id,
        application=submission.application,
        description=submission.description,
        target=submission.target,
        package_name=submission.package_name,
        version=submission.version,
        group_name=submission.group_name,
        user_name=submission.user_name or key.name,
        url=str(submission.url) if submission.url else None,
        date=submission.date or now,
        recorded_at=now,
        recorded_by=key.name,
    )
    session.add(deployment)
    await session.commit()
    return Record.model_validate(deployment)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]))
